#include "queue/maildrop.h"

#include <errno.h>
#include <sys/mman.h>
#include "base/file.h"
#include "queue/queue_write.h"
#include "unit.h"

#define RECORDS_MAX 40

/* Type, then data; the good message that the rows of the tests below spoil. */
static const char *const good[] = {"Arewrite_context=local", "FAlice", "Salice",
    "Anotify_flags=1", "Rbob", "M", "NSubject: x", "N", "Lpart", "X", "Rcarol", "E"};

static enum maildrop_verdict check_all(
    bool is_file, const char *const *records, size_t count, struct buf *reason)
{
	struct maildrop_check check;
	enum maildrop_verdict verdict = MAILDROP_TAKE;
	maildrop_check_init(&check, is_file);
	for (size_t i = 0; i < count; i++) {
		struct str data = str_of(records[i] + 1);
		verdict = maildrop_check(&check, records[i][0], data, reason);
		if (verdict != MAILDROP_TAKE)
			return verdict;
	}
	return verdict;
}

TEST(what_sendmail_sends_is_taken)
{
	CLEANUP(buf_free) struct buf reason = BUF_INIT(1000);
	assert_int_equal(check_all(false, good, ARRAY_SIZE(good), &reason), MAILDROP_END);
	assert_int_equal(reason.len, 0);
}

struct spoiled {
	size_t at;          /* of `good`: replaced by `record`, or put before it */
	const char *record; /* NULL: record `at` is left out */
	bool instead;
	enum maildrop_verdict verdict;
	const char *reason;
};

static void check_spoiled(const struct spoiled *row)
{
	const char *records[RECORDS_MAX];
	size_t count = 0;
	CLEANUP(buf_free) struct buf reason = BUF_INIT(1000);
	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		if (i == row->at && row->record != NULL)
			records[count++] = row->record;
		if (i != row->at || (row->record != NULL && !row->instead))
			records[count++] = good[i];
	}
	assert_int_equal(check_all(false, records, count, &reason), row->verdict);
	assert_string_equal(buf_cstr(&reason), row->reason);
}

TEST(what_users_may_not_say_is_refused)
{
	static const struct spoiled rows[] = {
	    {0, "T1795318146 0", false, MAILDROP_UNEXPECTED,
		"unexpected record type: 84"},
	    {0, "C1 2 3", false, MAILDROP_UNEXPECTED, "unexpected record type: 67"},
	    {0, "Lsmtp:x", false, MAILDROP_UNEXPECTED, "unexpected record type: 76"},
	    {0, ">x@y", false, MAILDROP_UNEXPECTED, "unexpected record type: 62"},
	    {4, "Dx@y", false, MAILDROP_UNEXPECTED, "unexpected record type: 68"},
	    {4, "Ox@y", false, MAILDROP_UNEXPECTED, "unexpected record type: 79"},
	    {4, "p              0", false, MAILDROP_UNEXPECTED,
		"unexpected record type: 112"},
	    {7, "w", false, MAILDROP_UNEXPECTED, "unexpected record type: 119"},
	    {7, "p              9", false, MAILDROP_UNEXPECTED,
		"unexpected record type: 112"},
	    {5, NULL, false, MAILDROP_UNEXPECTED, "unexpected record type: 78"},
	    {9, NULL, false, MAILDROP_UNEXPECTED, "unexpected record type: 82"},
	    {10, "Sx", false, MAILDROP_UNEXPECTED, "unexpected record type: 83"},
	    {4, "Ra\nb", true, MAILDROP_BAD, "control byte in an envelope record"},
	    {1, "Fa\tb", true, MAILDROP_BAD, "control byte in an envelope record"},
	    {3, "Aenvelope_id=\x7f", true, MAILDROP_BAD,
		"control byte in an envelope record"},
	    {3, "Ssecond", false, MAILDROP_BAD, "multiple sender records"},
	    {2, "Rearly", false, MAILDROP_BAD, "recipient before the sender"},
	    {4, "V+", false, MAILDROP_BAD, "bad VERP delimiters"},
	    {5, "Mx", true, MAILDROP_BAD, "data in a segment marker"},
	    {11, "Ex", true, MAILDROP_BAD, "bad end record"},
	};
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		check_spoiled(&rows[i]);
}

TEST(attributes_that_users_may_not_set_are_left_out)
{
	static const struct spoiled rows[] = {
	    {4, "Alog_client_name=x", false, MAILDROP_SKIP,
		"ignoring attribute record: log_client_name=x"},
	    {4, "Asasl_username=x", false, MAILDROP_SKIP,
		"ignoring attribute record: sasl_username=x"},
	    {4, "Arewrite_context=foo", false, MAILDROP_SKIP,
		"ignoring attribute record: rewrite_context=foo"},
	    {4, "Anotify_flags=16", false, MAILDROP_SKIP,
		"ignoring attribute record: notify_flags=16"},
	    {4, "Anoequals", false, MAILDROP_SKIP,
		"ignoring malformed record: missing '=' after attribute name: noequals"},
	};
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		check_spoiled(&rows[i]);
}

TEST(a_message_without_sender_or_recipient_is_incomplete)
{
	static const char *const no_sender[] = {"M", "X", "E"};
	static const char *const no_recipient[] = {"Sx", "M", "X", "E"};
	static const char *const late[] = {"Sx", "M", "X", "Ry", "E"};
	CLEANUP(buf_free) struct buf reason = BUF_INIT(1000);
	assert_int_equal(check_all(false, no_sender, 3, &reason), MAILDROP_INCOMPLETE);
	assert_string_equal(buf_cstr(&reason), "no sender");
	assert_int_equal(check_all(false, no_recipient, 4, &reason), MAILDROP_INCOMPLETE);
	assert_string_equal(buf_cstr(&reason), "no recipient");
	assert_int_equal(check_all(false, late, 5, &reason), MAILDROP_END);
	assert_int_equal(check_all(true, late, 5, &reason), MAILDROP_BAD);
	assert_string_equal(buf_cstr(&reason), "missing arrival time record");
}

TEST(a_record_of_any_size_or_number_stays_bounded)
{
	struct maildrop_check check;
	CLEANUP(buf_free) struct buf reason = BUF_INIT(1000);
	CLEANUP(buf_free) struct buf data = BUF_INIT(10000);
	buf_add_fill(&data, 'x', ADDRESS_MAX + 1);
	maildrop_check_init(&check, false);
	assert_int_equal(
	    maildrop_check(&check, 'S', buf_str(&data), &reason), MAILDROP_BAD);
	maildrop_check_init(&check, false);
	for (int i = 0; i < QUEUE_ATTRIBUTES_MAX; i++)
		assert_int_equal(
		    maildrop_check(&check, 'A', STR("encoding=8bit"), &reason),
		    MAILDROP_TAKE);
	assert_int_equal(
	    maildrop_check(&check, 'A', STR("encoding=8bit"), &reason), MAILDROP_BAD);
}

/* --- files --- */

static void add_records(struct buf *out, const char *const *records, size_t count)
{
	for (size_t i = 0; i < count; i++)
		record_write(
		    out, (enum record_type)records[i][0], str_of(records[i] + 1));
}

static void open_bytes(struct queue_file *f, struct str bytes)
{
	int fd = memfd_create("maildrop", MFD_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(file_write_all(fd, bytes.p, bytes.len), 0);
	assert_int_equal(queue_file_take(f, fd), 0);
}

TEST(a_dropped_file_is_read_with_all_its_recipients)
{
	struct queue_file f;
	struct maildrop m;
	struct str line;
	bool whole;
	CLEANUP(buf_free) struct buf bytes = BUF_INIT(10000);
	CLEANUP(buf_free) struct buf reason = BUF_INIT(1000);
	CLEANUP(arena_free_cleanup) struct arena *a = arena_new(100000);
	static const char *const time[] = {
	    "T1795318146 448913", "Aret_flags=2", "Asasl_username=root", "V+="};
	add_records(&bytes, time, ARRAY_SIZE(time));
	add_records(&bytes, good, ARRAY_SIZE(good));
	open_bytes(&f, buf_str(&bytes));
	assert_int_equal(maildrop_read(&f, false, a, &m, &reason), 0);
	assert_false(m.requeued);
	assert_str(m.envelope.sender, "alice");
	assert_str(m.envelope.full_name, "Alice");
	assert_str(m.envelope.verp, "+=");
	assert_int_equal(m.envelope.ret, DSN_RET_HDRS);
	assert_int_equal(m.envelope.arrival.tv_usec, 448913);
	assert_string_equal(queue_attribute(&m.envelope, "rewrite_context"), "local");
	assert_null(queue_attribute(&m.envelope, "sasl_username"));
	assert_int_equal(m.recipient_count, 2);
	assert_str(m.recipients[0].address, "bob");
	assert_int_equal(m.recipients[0].notify, DSN_NOTIFY_NEVER);
	assert_str(m.recipients[1].address, "carol");
	assert_int_equal(m.recipients[1].notify, 0);
	queue_file_content_start(&f, &m.envelope);
	static const char *const lines[] = {"Subject: x", "", "part"};
	for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
		assert_int_equal(queue_file_content_next(&f, &line, &whole), 1);
		assert_str(line, lines[i]);
	}
	assert_int_equal(queue_file_content_next(&f, &line, &whole), 0);
	queue_file_close(&f);
}

TEST(a_file_cut_anywhere_is_corrupt)
{
	CLEANUP(buf_free) struct buf bytes = BUF_INIT(10000);
	CLEANUP(buf_free) struct buf reason = BUF_INIT(1000);
	static const char *const time[] = {"T1795318146"};
	add_records(&bytes, time, 1);
	add_records(&bytes, good, ARRAY_SIZE(good));
	for (size_t len = 0; len < bytes.len; len++) {
		struct queue_file f;
		struct maildrop m;
		struct arena *a = arena_new(100000);
		open_bytes(&f, str_slice(buf_str(&bytes), 0, len));
		assert_int_equal(maildrop_read(&f, false, a, &m, &reason), -EBADMSG);
		assert_true(reason.len > 0);
		queue_file_close(&f);
		arena_free(a);
	}
}

TEST(many_recipients_end_at_the_ceiling_of_the_arena)
{
	struct queue_file f;
	struct maildrop m;
	CLEANUP(buf_free) struct buf bytes = BUF_INIT(100000);
	CLEANUP(buf_free) struct buf reason = BUF_INIT(1000);
	static const char *const start[] = {"T1795318146 0", "Sx"};
	static const char *const end[] = {"M", "X", "E"};
	add_records(&bytes, start, 2);
	for (int i = 0; i < 2000; i++)
		record_printf(&bytes, RECORD_RECIPIENT, "user%d", i);
	add_records(&bytes, end, 3);
	open_bytes(&f, buf_str(&bytes));
	struct arena *a = arena_new(100000);
	assert_int_equal(maildrop_read(&f, false, a, &m, &reason), -ENOMEM);
	arena_free(a);
	a = arena_new(4000000);
	assert_int_equal(maildrop_read(&f, false, a, &m, &reason), 0);
	assert_int_equal(m.recipient_count, 2000);
	assert_str(m.recipients[1999].address, "user1999");
	arena_free(a);
	queue_file_close(&f);
}

/* What `postsuper -r` puts back: a queue file of ours, marks and all. */
static void add_queue_file(struct buf *bytes)
{
	static const char *const envelope[] = {"T1795318146 0", "Alog_ident=ABCDEF1",
	    "Salice@lab.test", "Ofirst@x", "Ddone@x", "Anotify_flags=4", "Oorig@x",
	    "Rleft@x", "M"};
	static const char *const content[] = {
	    "NSubject: y", "X", "Amessage_id=<a@b>", "Rlate@x", "E"};
	char record[QUEUE_SIZE_RECORD];
	struct queue_size size = {
	    .content_size = 12, .recipients = 3, .message_size = 12};
	buf_add_fill(bytes, ' ', QUEUE_SIZE_RECORD);
	add_records(bytes, envelope, ARRAY_SIZE(envelope));
	size.content_offset = (int64_t)bytes->len;
	add_records(bytes, content, ARRAY_SIZE(content));
	queue_size_record(record, &size);
	memcpy(bytes->p, record, sizeof(record));
}

TEST(a_requeued_file_is_read_only_when_it_may_be_one)
{
	struct queue_file f;
	struct maildrop m;
	CLEANUP(buf_free) struct buf bytes = BUF_INIT(10000);
	CLEANUP(buf_free) struct buf reason = BUF_INIT(1000);
	CLEANUP(arena_free_cleanup) struct arena *a = arena_new(200000);
	add_queue_file(&bytes);
	open_bytes(&f, buf_str(&bytes));
	assert_int_equal(maildrop_read(&f, true, a, &m, &reason), 0);
	assert_true(m.requeued);
	assert_int_equal(m.recipient_count, 2);
	assert_str(m.recipients[0].address, "left@x");
	assert_str(m.recipients[0].original, "orig@x");
	assert_int_equal(m.recipients[0].notify, DSN_NOTIFY_FAILURE);
	assert_str(m.recipients[1].address, "late@x");
	assert_string_equal(queue_attribute(&m.envelope, "log_ident"), "ABCDEF1");
	assert_int_equal(maildrop_read(&f, false, a, &m, &reason), -EBADMSG);
	queue_file_close(&f);
}
