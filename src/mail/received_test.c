#include "mail/received.h"

#include <time.h>
#include "unit.h"

static const int64_t when = 1795318137; /* Sun, 22 Nov 2026 03:28:57 UTC */

static void check(const struct received *r, const char *expected)
{
	CLEANUP(buf_free) struct buf out = BUF_INIT(4096);
	(void)setenv("TZ", "UTC", 1);
	tzset();
	received_write(&out, r);
	assert_str(buf_str(&out), expected);
}

TEST(one_recipient_is_named_in_a_line_of_its_own)
{
	struct received r = {.helo = STR("c.test"),
	    .client_name = STR("localhost"),
	    .client_address = STR("127.0.0.1"),
	    .myhostname = STR("mx.lab.test"),
	    .mail_name = STR("Postfix"),
	    .protocol = STR("ESMTP"),
	    .queue_id = STR("76E1142C"),
	    .recipient = STR("alice@lab.test"),
	    .wall_seconds = when,
	    .uid = -1};
	check(&r,
	    "Received: from c.test (localhost [127.0.0.1])\n"
	    "\tby mx.lab.test (Postfix) with ESMTP id 76E1142C\n"
	    "\tfor <alice@lab.test>; Sun, 22 Nov 2026 03:28:57 +0000 (UTC)");
	r.recipient = STR("a b@lab.test");
	r.client_address = STR("::1");
	check(&r,
	    "Received: from c.test (localhost [IPv6:::1])\n"
	    "\tby mx.lab.test (Postfix) with ESMTP id 76E1142C\n"
	    "\tfor <\"a b\"@lab.test>; Sun, 22 Nov 2026 03:28:57 +0000 (UTC)");
	r.recipient = STR_EMPTY;
	r.client_address = STR("127.0.0.1");
	check(&r,
	    "Received: from c.test (localhost [127.0.0.1])\n"
	    "\tby mx.lab.test (Postfix) with ESMTP id 76E1142C;\n"
	    "\tSun, 22 Nov 2026 03:28:57 +0000 (UTC)");
}

TEST(mail_from_here_names_the_user_or_nobody)
{
	struct received r = {.myhostname = STR("mx.lab.test"),
	    .mail_name = STR("Postfix"),
	    .queue_id = STR("7F0F9494"),
	    .wall_seconds = when,
	    .uid = 1003};
	check(&r,
	    "Received: by mx.lab.test (Postfix, from userid 1003)\n"
	    "\tid 7F0F9494; Sun, 22 Nov 2026 03:28:57 +0000 (UTC)");
	r.uid = -1;
	check(&r,
	    "Received: by mx.lab.test (Postfix)\n"
	    "\tid 7F0F9494; Sun, 22 Nov 2026 03:28:57 +0000 (UTC)");
}

TEST(message_ids_carry_the_utc_time_and_the_queue_id)
{
	CLEANUP(buf_free) struct buf out = BUF_INIT(4096);
	message_id_write(&out, STR("76E1142C"), STR("mx.lab.test"), when);
	assert_str(buf_str(&out), "<20261122032857.76E1142C@mx.lab.test>");
}
