#include "postqueue/listing.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>
#include "base/file.h"
#include "unit.h"

#define GREETING "protocol\0mail_queue_list_protocol\0\0"

/* What `print` makes of these bytes; the result in *result_r. */
static char *print(
    struct str bytes, listing_printer *printer, bool long_ids, int *result_r)
{
	char *text = NULL;
	size_t len = 0;
	struct listing_reader reader;
	assert_int_equal(setenv("TZ", "UTC", 1), 0);
	tzset();
	int fd = memfd_create("listing", MFD_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(file_write_all(fd, bytes.p, bytes.len), 0);
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	FILE *out = open_memstream(&text, &len);
	assert_non_null(out);
	listing_reader_init(&reader, fd);
	*result_r = printer(&reader, out, long_ids);
	listing_reader_free(&reader);
	assert_int_equal(fclose(out), 0);
	file_close(&fd);
	return text;
}

static void assert_prints(
    struct str bytes, listing_printer *printer, bool long_ids, const char *expected)
{
	int result = 1;
	char *text = print(bytes, printer, long_ids, &result);
	assert_int_equal(result, 0);
	assert_string_equal(text, expected);
	free(text);
}

#define MESSAGE(queue, id, size, expire, sender)          \
	"queue_name\0" queue "\0queue_id\0" id "\0time\0" \
	"1795318146\0size\0" size "\0forced_expire\0" expire "\0sender\0" sender "\0"
#define RECIPIENT(address, reason) "recipient\0" address "\0reason\0" reason "\0"

static const char sample_bytes[] = GREETING MESSAGE(
    "deferred", "AAAAB0", "1254", "0", "alice@lab.test") RECIPIENT("r1@x", "same")
    RECIPIENT("r2@x", "same") RECIPIENT("r0@x", "") RECIPIENT("r3@x", "") "\0" MESSAGE(
	"active", "6DC6248E", "54", "0", "MAILER-DAEMON")
	RECIPIENT("a@x", "") "\0" MESSAGE("hold", "AAAAA9", "21", "1", "\"s p\"@x")
	    RECIPIENT("\"q u\"@x", "said \"no\"\\ \t") "\0\0";
static const struct str sample = {sample_bytes, sizeof(sample_bytes) - 1};

TEST(the_queue_is_shown_as_people_know_it)
{
	assert_prints(sample, listing_print, false,
	    "-Queue ID-  --Size-- ----Arrival Time---- -Sender/Recipient-------\n"
	    "AAAAB0         1254 Sun Nov 22 03:29:06  alice@lab.test\n"
	    "                                                                        (same)\n"
	    "                                         r1@x\n"
	    "                                         r2@x\n"
	    "                                                          (reason unavailable)\n"
	    "                                         r0@x\n"
	    "                                         r3@x\n"
	    "\n"
	    "6DC6248E*        54 Sun Nov 22 03:29:06  MAILER-DAEMON\n"
	    "                                         a@x\n"
	    "\n"
	    "AAAAA9!#         21 Sun Nov 22 03:29:06  \"s p\"@x\n"
	    "                                                                (said \"no\"\\ \t)\n"
	    "                                         \"q u\"@x\n"
	    "\n"
	    "-- 1 Kbytes in 3 Requests.\n");
}

TEST(long_ids_have_wider_columns)
{
	assert_prints(STR(GREETING MESSAGE("hold", "4jXFZM5pFNzTr", "21", "0", "s@x")
			      RECIPIENT("a@x", "r") "\0\0"),
	    listing_print, true,
	    "----Queue ID----- --Size-- ---Arrival Time---- --Sender/Recipient------\n"
	    "4jXFZM5pFNzTr!          21 Sun Nov 22 03:29:06 s@x\n"
	    "                                                                           (r)\n"
	    "                                               a@x\n"
	    "\n"
	    "-- 0 Kbytes in 1 Request.\n");
}

TEST(an_empty_queue_is_said_to_be_empty)
{
	assert_prints(STR(GREETING "\0"), listing_print, false, "Mail queue is empty\n");
	assert_prints(STR(GREETING "\0"), listing_print_json, false, "");
}

TEST(the_queue_is_shown_as_json_a_message_a_line)
{
	assert_prints(sample, listing_print_json, false,
	    "{\"queue_name\": \"deferred\", \"queue_id\": \"AAAAB0\", \"arrival_time\": "
	    "1795318146, \"message_size\": 1254, \"forced_expire\": false, \"sender\": "
	    "\"alice@lab.test\", \"recipients\": [{\"address\": \"r1@x\", \"delay_reason\": "
	    "\"same\"}, {\"address\": \"r2@x\", \"delay_reason\": \"same\"}, {\"address\": "
	    "\"r0@x\"}, {\"address\": \"r3@x\"}]}\n"
	    "{\"queue_name\": \"active\", \"queue_id\": \"6DC6248E\", \"arrival_time\": "
	    "1795318146, \"message_size\": 54, \"forced_expire\": false, \"sender\": "
	    "\"MAILER-DAEMON\", \"recipients\": [{\"address\": \"a@x\"}]}\n"
	    "{\"queue_name\": \"hold\", \"queue_id\": \"AAAAA9\", \"arrival_time\": "
	    "1795318146, \"message_size\": 21, \"forced_expire\": true, \"sender\": "
	    "\"\\\"s p\\\"@x\", \"recipients\": [{\"address\": \"\\\"q u\\\"@x\", "
	    "\"delay_reason\": \"said \\\"no\\\"\\\\ \\u0009\"}]}\n");
}

TEST(json_holds_no_byte_that_a_strict_reader_refuses)
{
	CLEANUP(buf_free) struct buf out = BUF_INIT(1000);
	json_add_string(&out, STR("\"\\\n\x01\x7f\xe2\x82\xac"));
	assert_str(buf_str(&out), "\"\\\"\\\\\\u000a\\u0001\\u007f\xe2\x82\xac\"");
	buf_clear(&out);
	json_add_string(&out, STR("a\xff"));
	assert_str(buf_str(&out), "\"a\\ufffd\"");
}

TEST(an_answer_cut_anywhere_or_out_of_order_is_refused)
{
	for (size_t len = 0; len < sample.len; len++) {
		int result = 0;
		free(print(str_slice(sample, 0, len), listing_print, false, &result));
		assert_int_equal(result, -EBADMSG);
		free(
		    print(str_slice(sample, 0, len), listing_print_json, false, &result));
		assert_int_equal(result, -EBADMSG);
	}
	const struct str bad[] = {
	    STR("queue_name\0x\0\0\0"),
	    STR(GREETING "queue_id\0x\0\0\0"),
	    STR(GREETING "queue_name\0x\0time\0"
			 "1\0\0\0"),
	    STR(GREETING MESSAGE("hold", "A", "x", "0", "s") "\0\0"),
	    STR(GREETING MESSAGE("hold", "A", "1", "0", "s") "reason\0x\0\0\0"),
	    STR(GREETING MESSAGE("hold", "A", "1", "0", "s") "recipient\0x\0\0\0"),
	};
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		int result = 0;
		free(print(bad[i], listing_print, false, &result));
		assert_int_equal(result, -EBADMSG);
	}
}
