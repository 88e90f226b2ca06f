#include "queue/queue_file.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>
#include "base/file.h"
#include "queue/queue_write.h"
#include "unit.h"

/* The file that Postfix 3.10.3 wrote as deferred/6/6DC6248E, record by record. */
static const struct {
	int64_t offset;
	const char *record; /* type, then data */
} sample[] = {
    {97, "T1795318146 448913"},
    {116, "Acreate_time=1795318146"},
    {140, "Alog_ident=6DC6248E"},
    {160, "Arewrite_context=local"},
    {183, "Aenvelope_id=QQ314159"},
    {205, "Aret_flags=1"},
    {218, "Salice@lab.test"},
    {234, "Alog_client_name=localhost"},
    {261, "Alog_client_address=127.0.0.1"},
    {291, "Alog_client_port=56550"},
    {314, "Alog_message_origin=localhost[127.0.0.1]"},
    {355, "Alog_helo_name=c.test"},
    {377, "Alog_protocol_name=ESMTP"},
    {402, "Aclient_name=localhost"},
    {425, "Areverse_client_name=localhost"},
    {456, "Aclient_address=127.0.0.1"},
    {482, "Aclient_port=56550"},
    {501, "Aserver_address=127.0.0.1"},
    {527, "Aserver_port=2525"},
    {545, "Ahelo_name=c.test"},
    {563, "Aprotocol_name=ESMTP"},
    {584, "Aclient_address_type=2"},
    {607, "Anotify_flags=6"},
    {623, "Adsn_orig_rcpt=rfc822;Bobby@lab.test"},
    {660, "Obob@lab.test"},
    {674, "Dbob@lab.test"},
    {688, "Anotify_flags=2"},
    {704, "Adsn_orig_rcpt=rfc822;x@ok.test"},
    {736, "Ox@ok.test"},
    {747, "Dx@ok.test"},
    {758, "Anotify_flags=1"},
    {774, "Adsn_orig_rcpt=rfc822;info@valias.test"},
    {813, "Oinfo@valias.test"},
    {831, "Dalice@lab.test"},
    {847, "Anotify_flags=1"},
    {863, "Adsn_orig_rcpt=rfc822;info@valias.test"},
    {902, "Oinfo@valias.test"},
    {920, "Dx@discard.test"},
    {936, "Anotify_flags=1"},
    {952, "Adsn_orig_rcpt=rfc822;x@refused.test"},
    {989, "Ox@refused.test"},
    {1005, "Rx@refused.test"},
    {1021, "M"},
    {1023, "NReceived: from c.test (localhost [127.0.0.1])"},
    {1070, "N\tby mx.lab.test (Postfix) with ESMTP id 6DC6248E;"},
    {1121, "N\tSun, 22 Nov 2026 03:29:06 +0000 (UTC)"},
    {1161, "NSubject: dsn"},
    {1175, "NMessage-ID: <orig1@lab.test>"},
    {1205, "NDate: Sun, 22 Nov 2026 03:29:06 +0000 (UTC)"},
    {1250, "NFrom: alice@lab.test"},
    {1272, "N"},
    {1274, "Nx"},
    {1277, "X"},
    {1279, "Amessage_id=<orig1@lab.test>"},
    {1308, "E"},
};

static void add_sample(struct buf *out)
{
	char size[QUEUE_SIZE_RECORD];
	queue_size_record(size, &(struct queue_size){254, 1023, 5, 14, 254, 0});
	buf_add(out, size, sizeof(size));
	for (size_t i = 0; i < ARRAY_SIZE(sample); i++) {
		assert_int_equal(out->len, sample[i].offset);
		record_write(out, (enum record_type)sample[i].record[0],
		    str_of(sample[i].record + 1));
	}
}

static void open_bytes(struct queue_file *f, struct str bytes)
{
	int fd = memfd_create("test", MFD_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(file_write_all(fd, bytes.p, bytes.len), 0);
	assert_int_equal(queue_file_take(f, fd), 0);
}

struct fixture {
	struct queue_file file;
	struct buf bytes, reason;
	struct arena *arena;
	struct queue_envelope envelope;
};

static void fixture_start(struct fixture *x)
{
	*x = (struct fixture){.bytes = BUF_INIT(1 << 20),
	    .reason = BUF_INIT(200),
	    .arena = arena_new(1 << 20)};
}

static int fixture_read(struct fixture *x)
{
	open_bytes(&x->file, buf_str(&x->bytes));
	return queue_file_envelope(&x->file, x->arena, &x->envelope, &x->reason);
}

static void fixture_end(struct fixture *x)
{
	queue_file_close(&x->file);
	buf_free(&x->bytes);
	buf_free(&x->reason);
	arena_free(x->arena);
}

/* Bytes at the offsets of the hex dump. */
TEST(what_we_write_is_byte_for_byte_what_postfix_wrote)
{
	static const unsigned char at_0x60[] = {'0', 'T', 0x11, '1', '7', '9', '5', '3',
	    '1', '8', '1', '4', '6', ' ', '4', '4', '8', '9', '1', '3', 'A', 0x16, 'c',
	    'r'};
	static const unsigned char at_0x500[] = {0x1b, 'm', 'e', 's', 's', 'a', 'g', 'e',
	    '_', 'i', 'd', '=', '<', 'o', 'r', 'i', 'g', '1', '@', 'l', 'a', 'b', '.',
	    't', 'e', 's', 't', '>', 'E', 0x00};
	struct fixture x;
	fixture_start(&x);
	add_sample(&x.bytes);
	assert_int_equal(x.bytes.len, 1310);
	assert_memory_equal(x.bytes.p + 0x60, at_0x60, sizeof(at_0x60));
	assert_memory_equal(x.bytes.p + 0x500, at_0x500, sizeof(at_0x500));
	assert_memory_equal(
	    x.bytes.p + 0x270, "#dsn_orig_rcpt=rfc822;Bobby@lab.testO\014bob", 40);
	assert_int_equal(fixture_read(&x), 0);
	fixture_end(&x);
}

TEST(an_envelope_is_read)
{
	struct fixture x;
	fixture_start(&x);
	add_sample(&x.bytes);
	assert_int_equal(fixture_read(&x), 0);
	const struct queue_envelope *e = &x.envelope;
	assert_int_equal(e->content_size, 254);
	assert_int_equal(e->content_offset, 1023);
	assert_int_equal(e->message_size, 254);
	assert_int_equal(e->recipient_count, 5);
	assert_int_equal(e->flags, 14);
	assert_int_equal(e->arrival.tv_sec, 1795318146);
	assert_int_equal(e->arrival.tv_usec, 448913);
	assert_int_equal(e->created, 1795318146);
	assert_int_equal(e->warn_time, 0);
	assert_str(e->sender, "alice@lab.test");
	assert_str(e->envelope_id, "QQ314159");
	assert_int_equal(e->ret, DSN_RET_FULL);
	assert_str(e->message_id, "<orig1@lab.test>");
	assert_string_equal(queue_attribute(e, "helo_name"), "c.test");
	assert_string_equal(queue_attribute(e, "log_ident"), "6DC6248E");
	assert_null(queue_attribute(e, "notify_flags"));
	assert_null(queue_attribute(e, "nosuch"));
	assert_int_equal(e->first_recipient_offset, 607);
	fixture_end(&x);
}

/* Whatever lies between the first recipient and the content is not looked at. */
TEST(a_head_ends_before_the_recipients)
{
	struct fixture x;
	fixture_start(&x);
	add_sample(&x.bytes);
	memset(x.bytes.p + 700, 'R', 300);
	open_bytes(&x.file, buf_str(&x.bytes));
	struct queue_envelope *e = &x.envelope;
	assert_int_equal(queue_file_head(&x.file, x.arena, e, &x.reason), 0);
	assert_str(e->sender, "alice@lab.test");
	assert_string_equal(queue_attribute(e, "helo_name"), "c.test");
	assert_int_equal(e->first_recipient_offset, 607);
	struct str line;
	bool whole;
	queue_file_content_start(&x.file, e);
	assert_int_equal(queue_file_content_next(&x.file, &line, &whole), 1);
	queue_file_close(&x.file);
	x.bytes.p[1021] = 'N';
	open_bytes(&x.file, buf_str(&x.bytes));
	assert_int_equal(queue_file_head(&x.file, x.arena, e, &x.reason), -EBADMSG);
	assert_string_equal(buf_cstr(&x.reason), "size record does not fit the content");
	fixture_end(&x);
}

TEST(recipients_that_are_not_done_come_in_portions)
{
	struct queue_recipient r[2];
	struct fixture x;
	fixture_start(&x);
	add_sample(&x.bytes);
	x.bytes.p[674] = 'R';
	x.bytes.p[831] = 'R';
	assert_int_equal(fixture_read(&x), 0);
	int64_t offset = 0;
	assert_int_equal(queue_file_recipients(&x.file, x.arena, &offset, r, 2), 2);
	assert_str(r[0].address, "bob@lab.test");
	assert_str(r[0].original, "bob@lab.test");
	assert_str(r[0].dsn_orcpt, "rfc822;Bobby@lab.test");
	assert_int_equal(r[0].notify, 6);
	assert_int_equal(r[0].offset, 674);
	assert_str(r[1].address, "alice@lab.test");
	assert_str(r[1].original, "info@valias.test");
	assert_int_equal(r[1].offset, 831);
	/* Another process reads on, which knows the offset only. */
	struct queue_file again;
	open_bytes(&again, buf_str(&x.bytes));
	assert_int_equal(queue_file_recipients(&again, x.arena, &offset, r, 2), 1);
	assert_str(r[0].address, "x@refused.test");
	assert_int_equal(r[0].notify, 1);
	assert_int_equal(r[0].offset, 1005);
	assert_int_equal(offset, -1);
	assert_int_equal(queue_file_recipients(&again, x.arena, &offset, r, 2), 0);
	queue_file_close(&again);
	fixture_end(&x);
}

static void assert_line(struct queue_file *f, const char *text, bool is_whole)
{
	struct str line = STR_EMPTY;
	bool whole = false;
	assert_int_equal(queue_file_content_next(f, &line, &whole), 1);
	assert_str(line, text);
	assert_int_equal(whole, is_whole);
}

TEST(content_is_read_line_by_line)
{
	struct str line;
	bool whole;
	struct fixture x;
	fixture_start(&x);
	add_sample(&x.bytes);
	assert_int_equal(fixture_read(&x), 0);
	for (int twice = 0; twice < 2; twice++) {
		queue_file_content_start(&x.file, &x.envelope);
		assert_line(
		    &x.file, "Received: from c.test (localhost [127.0.0.1])", true);
		for (int i = 0; i < 6; i++)
			assert_int_equal(
			    queue_file_content_next(&x.file, &line, &whole), 1);
		assert_line(&x.file, "", true);
		assert_line(&x.file, "x", true);
		assert_int_equal(queue_file_content_next(&x.file, &line, &whole), 0);
	}
	fixture_end(&x);
}

/* As pickup and showq see it: no size record, recipients of -t behind the content. */
TEST(a_maildrop_file_is_read)
{
	struct queue_recipient r[5];
	struct fixture x;
	fixture_start(&x);
	record_write(&x.bytes, RECORD_TIME, STR("1795318146 1"));
	record_attribute(&x.bytes, "rewrite_context", STR("local"));
	record_write(&x.bytes, RECORD_FULL_NAME, STR("A N"));
	record_write(&x.bytes, RECORD_SENDER, STR(""));
	record_write(&x.bytes, RECORD_RECIPIENT, STR("bob"));
	record_write(&x.bytes, RECORD_MESSAGE, STR(""));
	int64_t content = (int64_t)x.bytes.len;
	record_write(&x.bytes, RECORD_LINE, STR("Subject: x"));
	record_write(&x.bytes, RECORD_PART, STR("no newline"));
	record_write(&x.bytes, RECORD_EXTRACTED, STR(""));
	record_attribute(&x.bytes, "notify_flags", STR("1"));
	record_write(&x.bytes, RECORD_RECIPIENT, STR("carol"));
	record_write(&x.bytes, RECORD_END, STR(""));
	assert_int_equal(fixture_read(&x), 0);
	assert_str(x.envelope.full_name, "A N");
	assert_str(x.envelope.sender, "");
	assert_int_equal(x.envelope.content_offset, content);
	assert_int_equal(x.envelope.content_size, 24);
	assert_int_equal(x.envelope.message_size, x.bytes.len);
	int64_t offset = 0;
	assert_int_equal(queue_file_recipients(&x.file, x.arena, &offset, r, 5), 2);
	assert_str(r[0].address, "bob");
	assert_int_equal(r[0].notify, 0);
	assert_str(r[1].address, "carol");
	assert_int_equal(r[1].notify, 1);
	queue_file_content_start(&x.file, &x.envelope);
	assert_line(&x.file, "Subject: x", true);
	assert_line(&x.file, "no newline", false);
	fixture_end(&x);
}

static void add_pointer(struct buf *out, long long target)
{
	record_printf(out, RECORD_POINTER, "%15lld", target);
}

/* A file as Milters leave it: records replaced by pointers to the end and back. */
TEST(pointers_are_followed)
{
	char size[QUEUE_SIZE_RECORD];
	struct queue_recipient r[5];
	struct fixture x;
	fixture_start(&x);
	buf_add_fill(&x.bytes, ' ', QUEUE_SIZE_RECORD);
	record_write(&x.bytes, RECORD_TIME, STR("1795318146 1"));
	size_t sender_at = x.bytes.len;
	add_pointer(&x.bytes, 0);
	record_write(&x.bytes, RECORD_PADDING, STR(" "));
	size_t behind_sender = x.bytes.len;
	record_write(&x.bytes, RECORD_RECIPIENT, STR("old@a.test"));
	size_t more_at = x.bytes.len;
	add_pointer(&x.bytes, 0);
	size_t behind_more = x.bytes.len;
	add_pointer(&x.bytes, 0); /* a placeholder that was never used */
	record_write(&x.bytes, RECORD_MESSAGE, STR(""));
	size_t content = x.bytes.len;
	size_t body_at = x.bytes.len;
	add_pointer(&x.bytes, 0);
	size_t behind_body = x.bytes.len;
	record_write(&x.bytes, RECORD_EXTRACTED, STR(""));
	record_write(&x.bytes, RECORD_END, STR(""));
	struct {
		size_t at;
		enum record_type type;
		const char *data;
		size_t back;
	} edits[] = {
	    {sender_at, RECORD_SENDER, "new@a.test", behind_sender},
	    {more_at, RECORD_RECIPIENT, "added@a.test", behind_more},
	    {body_at, RECORD_LINE, "new body", behind_body},
	};
	for (size_t i = 0; i < ARRAY_SIZE(edits); i++) {
		CLEANUP(buf_free) struct buf pointer = BUF_INIT(32);
		add_pointer(&pointer, (long long)x.bytes.len);
		memcpy(x.bytes.p + edits[i].at, pointer.p, pointer.len);
		record_write(&x.bytes, edits[i].type, str_of(edits[i].data));
		add_pointer(&x.bytes, (long long)edits[i].back);
	}
	queue_size_record(size,
	    &(struct queue_size){
		(int64_t)(behind_body - content), (int64_t)content, 2, 0, 10, 0});
	memcpy(x.bytes.p, size, sizeof(size));
	assert_int_equal(fixture_read(&x), 0);
	assert_str(x.envelope.sender, "new@a.test");
	int64_t offset = 0;
	assert_int_equal(queue_file_recipients(&x.file, x.arena, &offset, r, 5), 2);
	assert_str(r[0].address, "old@a.test");
	assert_str(r[1].address, "added@a.test");
	assert_true(r[1].offset > (int64_t)behind_body);
	queue_file_content_start(&x.file, &x.envelope);
	assert_line(&x.file, "new body", true);
	fixture_end(&x);
}

TEST(pointers_that_go_in_circles_are_found)
{
	struct queue_recipient r[5];
	struct fixture x;
	fixture_start(&x);
	record_write(&x.bytes, RECORD_TIME, STR("1 1"));
	record_write(&x.bytes, RECORD_SENDER, STR(""));
	record_write(&x.bytes, RECORD_FULL_NAME, STR("x"));
	add_pointer(&x.bytes, 5);
	assert_int_equal(fixture_read(&x), -EBADMSG);
	int64_t offset = 0;
	assert_int_equal(
	    queue_file_recipients(&x.file, x.arena, &offset, r, 5), -EBADMSG);
	fixture_end(&x);
}

/* However small the portions are in which somebody reads them. */
TEST(recipients_that_go_in_circles_end)
{
	struct queue_recipient r[1];
	struct fixture x;
	fixture_start(&x);
	size_t at = x.bytes.len;
	record_write(&x.bytes, RECORD_RECIPIENT, STR("a@a.test"));
	add_pointer(&x.bytes, (long long)at);
	open_bytes(&x.file, buf_str(&x.bytes));
	int64_t offset = 0;
	ssize_t got = 1;
	for (int i = 0; i < 100 && got == 1; i++)
		got = queue_file_recipients(&x.file, x.arena, &offset, r, 1);
	assert_int_equal(got, -EBADMSG);
	fixture_end(&x);
}

TEST(every_cut_of_a_file_is_seen)
{
	struct fixture x;
	fixture_start(&x);
	CLEANUP(buf_free) struct buf whole = BUF_INIT(10000);
	add_sample(&whole);
	for (size_t len = 0; len < whole.len; len++) {
		buf_clear(&x.bytes);
		buf_add(&x.bytes, whole.p, len);
		assert_int_equal(fixture_read(&x), -EBADMSG);
		queue_file_close(&x.file);
		arena_free(x.arena);
		x.arena = arena_new(1 << 20);
	}
	assert_str(buf_str(&x.reason), "malformed record");
	buf_clear(&x.bytes);
	buf_add(&x.bytes, whole.p, 1308);
	assert_int_equal(fixture_read(&x), -EBADMSG);
	assert_str(buf_str(&x.reason), "missing end record");
	fixture_end(&x);
}

TEST(envelopes_with_wrong_records_are_corrupt)
{
	static const struct {
		size_t at;
		const char *bytes;
		const char *reason;
	} rows[] = {
	    {97, "Z", "unexpected record type in the envelope"},
	    {99, "x", "bad arrival time record"},
	    {97, "c", "bad number in a record"},
	    {218, "F", "missing sender record"},
	    {234, "S", "multiple sender records"},
	    {10, "x", "bad size record"},
	    {14, "9", "bad size record"},
	    {1277, "N", "size record does not fit the content"},
	    {1279, "N", "unexpected record type in the extracted part"},
	    {1308, "K", "missing end record"},
	    {240, "\n", "control byte in an envelope record"},
	};
	CLEANUP(buf_free) struct buf whole = BUF_INIT(10000);
	add_sample(&whole);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct fixture x;
		fixture_start(&x);
		buf_add_str(&x.bytes, buf_str(&whole));
		x.bytes.p[rows[i].at] = rows[i].bytes[0];
		assert_int_equal(fixture_read(&x), -EBADMSG);
		assert_str(buf_str(&x.reason), rows[i].reason);
		fixture_end(&x);
	}
}

TEST(an_arena_that_is_too_small_is_not_corruption)
{
	struct fixture x;
	fixture_start(&x);
	arena_free(x.arena);
	x.arena = arena_new(4096);
	add_sample(&x.bytes);
	x.bytes.p[674] = 'R';
	int result = fixture_read(&x);
	while (result == 0 && arena_alloc(x.arena, 16) != NULL)
		continue;
	if (result == 0) {
		struct queue_recipient r[1];
		int64_t offset = 0;
		result = (int)queue_file_recipients(&x.file, x.arena, &offset, r, 1);
	}
	assert_int_equal(result, -ENOMEM);
	fixture_end(&x);
}

TEST(marks_change_one_byte_of_a_record_only)
{
	struct fixture x;
	fixture_start(&x);
	add_sample(&x.bytes);
	assert_int_equal(fixture_read(&x), 0);
	assert_int_equal(queue_file_mark_done(&x.file, 1005), 0);
	assert_int_equal(queue_file_mark_done(&x.file, 1005), 0);
	assert_int_equal(queue_file_mark_done(&x.file, 989), -EBADMSG);
	assert_int_equal(queue_file_mark_done(&x.file, 1006), -EBADMSG);
	assert_int_equal(queue_file_mark_done(&x.file, 0), -EBADMSG);
	assert_int_equal(queue_file_mark_done(&x.file, -1), -EBADMSG);
	assert_int_equal(queue_file_mark_done(&x.file, 100000), -EBADMSG);
	/* 'R' of "Received" is no record */
	assert_int_equal(queue_file_mark_done(&x.file, 1025), -EBADMSG);
	assert_int_equal(queue_file_kill_attribute(&x.file, 140), 0);
	assert_int_equal(queue_file_kill_attribute(&x.file, 140), 0);
	assert_int_equal(queue_file_kill_attribute(&x.file, 218), -EBADMSG);
	x.bytes.p[1005] = 'D';
	x.bytes.p[140] = 'K';
	char *now = malloc(x.bytes.len);
	assert_int_equal(file_read_at(x.file.fd, now, x.bytes.len, 0), x.bytes.len);
	assert_memory_equal(now, x.bytes.p, x.bytes.len);
	free(now);
	fixture_end(&x);
}

TEST(the_warning_time_is_rewritten_in_place)
{
	struct fixture x;
	fixture_start(&x);
	record_write(&x.bytes, RECORD_TIME, STR("1 1"));
	int64_t at = (int64_t)x.bytes.len;
	record_printf(&x.bytes, RECORD_WARN, "%15d", 1795319677);
	record_write(&x.bytes, RECORD_SENDER, STR(""));
	record_write(&x.bytes, RECORD_MESSAGE, STR(""));
	record_write(&x.bytes, RECORD_EXTRACTED, STR(""));
	record_write(&x.bytes, RECORD_END, STR(""));
	assert_int_equal(fixture_read(&x), 0);
	assert_int_equal(x.envelope.warn_time, 1795319677);
	assert_int_equal(x.envelope.warn_offset, at);
	assert_int_equal(queue_file_set_warn(&x.file, at, -1), 0);
	assert_int_equal(queue_file_set_warn(&x.file, 0, -1), -EBADMSG);
	struct queue_file again;
	assert_int_equal(queue_file_take(&again, dup(x.file.fd)), 0);
	assert_int_equal(queue_file_envelope(&again, x.arena, &x.envelope, &x.reason), 0);
	assert_int_equal(x.envelope.warn_time, -1);
	queue_file_close(&again);
	fixture_end(&x);
}

TEST(opening_tells_ready_from_not_ready_and_locked)
{
	struct queue_file f, other;
	assert_int_equal(chdir(unit_directory()), 0);
	assert_int_equal(mkdir("active", 0700), 0);
	queue_dir_configure(STR(""), 0);
	CLEANUP(file_close)
	int fd = file_open_at(AT_FDCWD, "active/AAAAA1", O_CREAT | O_RDWR, 0600);
	assert_true(fd >= 0);
	struct str id = STR("AAAAA1");
	assert_int_equal(
	    queue_file_open(&f, "active", id, false, true, getuid()), -EBUSY);
	assert_int_equal(file_chmod(fd, 0400), 0);
	assert_int_equal(
	    queue_file_open(&f, "active", id, false, true, getuid()), -EBADMSG);
	assert_int_equal(file_chmod(fd, 0750), 0);
	assert_int_equal(queue_file_open(&f, "active", id, true, true, getuid()), 0);
	assert_int_equal(
	    queue_file_open(&other, "active", id, false, true, getuid()), -EWOULDBLOCK);
	assert_int_equal(
	    queue_file_open(&other, "active", id, false, false, getuid()), 0);
	queue_file_close(&other);
	queue_file_close(&f);
	assert_int_equal(
	    queue_file_open(&f, "active", STR("AAAAA2"), true, true, getuid()), -ENOENT);
}

TEST(what_was_in_incoming_is_found_in_active)
{
	struct queue_file f;
	struct str id = STR("AAAAA1");
	assert_int_equal(chdir(unit_directory()), 0);
	assert_int_equal(mkdir("active", 0700), 0);
	assert_int_equal(mkdir("incoming", 0700), 0);
	queue_dir_configure(STR(""), 0);
	CLEANUP(file_close)
	int fd = file_open_at(AT_FDCWD, "incoming/AAAAA1", O_CREAT | O_RDWR, 0700);
	assert_true(fd >= 0);
	assert_int_equal(
	    queue_file_open_active(&f, STR("active"), id, false, getuid()), -ENOENT);
	assert_int_equal(
	    queue_file_open_active(&f, STR("incoming"), id, false, getuid()), 0);
	queue_file_close(&f);
	assert_int_equal(queue_move(id, "incoming", "active"), 0);
	assert_int_equal(
	    queue_file_open_active(&f, STR("incoming"), id, false, getuid()), 0);
	queue_file_close(&f);
	assert_int_equal(
	    queue_file_open_active(&f, STR("../active"), id, false, getuid()), -EINVAL);
}

TEST(a_message_lies_in_a_file_until_it_is_over)
{
	struct queue_file f;
	struct stat status;
	char id[QUEUE_ID_MAX], other[QUEUE_ID_MAX];
	const struct timeval when = {1700000000, 4711};
	int fd = memfd_create("queue file", 0);
	assert_int_equal(fstat(fd, &status), 0);
	queue_id_make(id, when, status.st_ino, false);
	queue_id_make(other, when, status.st_ino + 1, false);
	static const struct {
		const char *byte;
		size_t len;
		bool lies;
	} cases[] = {{"", 0, false}, {"C", 1, true}, {"\0", 1, false}};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		assert_int_equal(
		    file_write_all_at(fd, cases[i].byte, cases[i].len, 0), 0);
		assert_int_equal(queue_file_take(&f, fd), 0);
		assert_int_equal(queue_file_lies(&f, str_of(id)), cases[i].lies);
		assert_false(queue_file_lies(&f, str_of(other)));
		record_reader_free(&f.reader);
	}
	file_close(&fd);
}
