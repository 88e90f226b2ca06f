#include "postcat/print.h"

#include <sys/mman.h>
#include <time.h>
#include "base/file.h"
#include "base/log.h"
#include "queue/queue_write.h"
#include "unit.h"

static char shown[65536];

static enum print_result show(struct str bytes, struct print_options o)
{
	FILE *out = fmemopen(shown, sizeof(shown), "w");
	assert_non_null(out);
	int fd = memfd_create("test", MFD_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(file_write_all(fd, bytes.p, bytes.len), 0);
	(void)setenv("TZ", "UTC", 1);
	tzset();
	assert_int_equal(log_open(LOG_SINK_MEMORY, "postcat", NULL), 0);
	log_memory_clear();
	memset(shown, 0, sizeof(shown));
	enum print_result result = print_file(out, fd, "f", &o);
	(void)fclose(out);
	file_close(&fd);
	return result;
}

/* 97 bytes of size record, then these. */
static void add_sample(struct buf *out)
{
	static const char *const records[] = {"T1795318146 448913",
	    "Acreate_time=1795318146", "W             -1", "Salice@lab.test",
	    "Anotify_flags=6", "Obob@lab.test", "Dbob@lab.test", "Rx@y.test", "M",
	    "NSubject: a", "L tail of a long", "N field", "NX: y", "N", "LX: not a field",
	    "N and more", "Nend", "X", "Amessage_id=<x@y>", "E"};
	char size[QUEUE_SIZE_RECORD];
	queue_size_record(size, &(struct queue_size){254, 1023, 5, 14, 254, 0});
	buf_add(out, size, sizeof(size));
	for (size_t i = 0; i < ARRAY_SIZE(records); i++)
		record_write(
		    out, (enum record_type)records[i][0], str_of(records[i] + 1));
}

#define SIZE_LINE                                                                         \
	"message_size:             254            1023               5              14  " \
	"           254               0\n"
#define ENVELOPE                                           \
	"*** ENVELOPE RECORDS f ***\n" SIZE_LINE           \
	"message_arrival_time: Sun Nov 22 03:29:06 2026\n" \
	"create_time: Sun Nov 22 03:29:06 2026\n"          \
	"warning_message_time: Wed Dec 31 23:59:59 1969\n" \
	"sender: alice@lab.test\n"                         \
	"named_attribute: notify_flags=6\n"                \
	"original_recipient: bob@lab.test\n"               \
	"done_recipient: bob@lab.test\n"                   \
	"recipient: x@y.test\n"                            \
	"*** MESSAGE CONTENTS f ***\n"
#define HEADER "Subject: a\n tail of a long field\nX: y\n"
#define BODY   "\nX: not a field and more\nend\n"
#define EXTRACTED                             \
	"*** HEADER EXTRACTED f ***\n"        \
	"named_attribute: message_id=<x@y>\n" \
	"*** MESSAGE FILE END f ***\n"

TEST(parts_of_a_file_are_shown_as_asked_for)
{
	static const struct {
		struct print_options o;
		const char *want;
	} rows[] = {
	    {{0}, ENVELOPE HEADER BODY EXTRACTED},
	    {{.body = true, .envelope = true, .header = true},
		ENVELOPE HEADER BODY EXTRACTED},
	    {{.header = true}, HEADER},
	    {{.body = true}, BODY},
	    {{.body = true, .header = true}, HEADER BODY},
	    {{.envelope = true}, ENVELOPE EXTRACTED},
	    {{.envelope = true, .body = true}, ENVELOPE BODY EXTRACTED},
	};
	CLEANUP(buf_free) struct buf bytes = BUF_INIT(4096);
	add_sample(&bytes);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		assert_int_equal(show(buf_str(&bytes), rows[i].o), PRINT_DONE);
		assert_str(str_of(shown), rows[i].want);
	}
}

TEST(offsets_and_types_stand_in_front)
{
	CLEANUP(buf_free) struct buf bytes = BUF_INIT(4096);
	add_sample(&bytes);
	(void)show(
	    buf_str(&bytes), (struct print_options){.offsets = true, .types = true});
	assert_true(str_starts(str_of(shown),
	    STR("*** ENVELOPE RECORDS f ***\n        0  67 message_size:             254 ")));
	assert_non_null(
	    strstr(shown, "\n       97  84 message_arrival_time: Sun Nov 22"));
	assert_non_null(strstr(shown, "  77 *** MESSAGE CONTENTS f ***\n"));
	assert_non_null(strstr(shown, "  76  tail of a long\n"));
}

TEST(verbose_text_has_labels)
{
	CLEANUP(buf_free) struct buf bytes = BUF_INIT(4096);
	add_sample(&bytes);
	(void)show(
	    buf_str(&bytes), (struct print_options){.verbose = true, .body = true});
	assert_str(str_of(shown),
	    "regular_text: \nunterminated_text: X: not a field\n"
	    "regular_text:  and more\nregular_text: end\n");
}

TEST(showing_can_start_anywhere)
{
	CLEANUP(buf_free) struct buf bytes = BUF_INIT(4096);
	add_sample(&bytes);
	assert_int_equal(
	    show(buf_str(&bytes), (struct print_options){.start = 97}), PRINT_DONE);
	assert_true(str_starts(str_of(shown), STR("message_arrival_time: ")));
	assert_int_equal(
	    show(buf_str(&bytes), (struct print_options){.start = 5000000}), PRINT_DONE);
	assert_str(str_of(shown), "");
}

static void add_pointer(struct buf *out, int target)
{
	record_printf(out, RECORD_POINTER, "%15d", target);
}

/* 0: sender replaced by one at 25, and back to 17; an unused placeholder at 17. */
static void add_edited(struct buf *out)
{
	add_pointer(out, 38);
	add_pointer(out, 0);
	record_write(out, RECORD_MESSAGE, STR(""));
	record_write(out, RECORD_END, STR(""));
	record_write(out, RECORD_SENDER, STR("new"));
	add_pointer(out, 17);
}

TEST(pointers_are_followed_shown_or_left_alone)
{
	CLEANUP(buf_free) struct buf bytes = BUF_INIT(4096);
	add_edited(&bytes);
	struct print_options o = {.offsets = true, .envelope = true};
	assert_int_equal(show(buf_str(&bytes), o), PRINT_DONE);
	/* The offset is that of the record read first: the pointer. */
	assert_non_null(strstr(shown, "\n        0 sender: new\n"));
	assert_non_null(strstr(shown, "\n       34 *** MESSAGE CONTENTS f ***\n"));
	assert_null(strstr(shown, "pointer_record"));
	o.verbose = true;
	assert_int_equal(show(buf_str(&bytes), o), PRINT_DONE);
	assert_non_null(strstr(shown,
	    "        0 pointer_record:              38\n       38 sender: "
	    "new\n       43 pointer_record:              17\n       17 "
	    "pointer_record:               0\n"));
	o = (struct print_options){.offsets = true, .raw = true};
	assert_int_equal(show(buf_str(&bytes), o), PRINT_DONE);
	assert_non_null(
	    strstr(shown, "\n       17 pointer_record:               0\n       34 ***"));
	assert_non_null(strstr(shown, "MESSAGE FILE END f ***\n       38 sender: new\n"));
}

TEST(pointers_in_circles_end)
{
	CLEANUP(buf_free) struct buf bytes = BUF_INIT(4096);
	record_write(&bytes, RECORD_SENDER, STR("x"));
	add_pointer(&bytes, 3);
	assert_int_equal(
	    show(buf_str(&bytes), (struct print_options){0}), PRINT_READ_ERROR);
	assert_int_equal(show(buf_str(&bytes), (struct print_options){.verbose = true}),
	    PRINT_READ_ERROR);
}

TEST(strange_files_are_told)
{
	struct print_options all = {0};
	assert_int_equal(show(STR(""), all), PRINT_DONE);
	assert_str(str_of(shown), "");
	assert_int_equal(
	    show(STR("root:x:0:0:and so on, for as long as a record is said to be, "
		     "which is 111 bytes for an o in the second place of the file"),
		all),
	    PRINT_NOT_A_QUEUE_FILE);
	assert_int_equal(show(STR("R\003abcM\0"), all), PRINT_DONE);
	assert_str(str_of(shown),
	    "*** ENVELOPE RECORDS f ***\nrecipient: abc\n*** MESSAGE CONTENTS f ***\n");
	assert_int_equal(show(STR("T\021xxxxx"), all), PRINT_READ_ERROR);
	log_flush();
	assert_str(log_memory(),
	    "warning: f: unexpected EOF in data, record type 84 length 17\n");
	assert_int_equal(show(STR("R\001aZ\003abcM\0"), all), PRINT_DONE);
	assert_non_null(strstr(shown, "\nunknown_record_type: abc\n"));
}
