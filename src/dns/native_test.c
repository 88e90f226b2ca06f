#include "dns/lookup.h"

#include "base/clock.h"
#include "run/loop.h"
#include "unit.h"

struct question {
	struct arena *arena;
	int family;
	int64_t timeout_ms;
	struct dns_answer answer;
};

static void ask_localhost(void *argument)
{
	struct question *q = argument;

	q->answer = dns_lookup_native(
	    STR("localhost"), q->family, q->arena, deadline_after_ms(q->timeout_ms));
}

TEST(native_lookup_reads_the_hosts_file)
{
	CLEANUP(arena_free_cleanup) struct arena *arena = arena_new(100000);
	struct question q = {.arena = arena, .family = AF_INET, .timeout_ms = 10000};

	run_main(ask_localhost, &q);
	assert_int_equal(q.answer.status, DNS_FOUND);
	assert_true(q.answer.count >= 1); /* a machine may list it twice */
	assert_int_equal(q.answer.records[0].type, DNS_A);
	assert_true(net_address_is_loopback(&q.answer.records[0].address));
	assert_str(q.answer.records[0].name, "localhost");
}

static void ask_bad_name(void *argument)
{
	struct question *q = argument;

	q->answer =
	    dns_lookup_native(STR("not a name"), 0, q->arena, deadline_after_ms(1000));
}

TEST(native_lookup_refuses_bad_names_and_full_arenas)
{
	CLEANUP(arena_free_cleanup) struct arena *arena = arena_new(10);
	struct question q = {.arena = arena, .family = AF_INET, .timeout_ms = 10000};

	run_main(ask_bad_name, &q);
	assert_int_equal(q.answer.status, DNS_BAD_NAME);
	run_main(ask_localhost, &q);
	assert_int_equal(q.answer.status, DNS_TRY_LATER);
	assert_int_equal(q.answer.count, 0);
}

struct client {
	struct net_address address;
	struct buf name, reverse;
	enum dns_status status;
	const char *trouble;
};

static void verify(void *argument)
{
	struct client *c = argument;

	c->status = dns_verified_name(
	    &c->address, &c->name, &c->reverse, &c->trouble, deadline_after_ms(10000));
}

TEST(native_name_of_loopback_is_verified)
{
	struct client c = {.name = BUF_INIT(300), .reverse = BUF_INIT(300)};

	assert_true(net_address_parse(STR("::ffff:127.0.0.1"), 40000, &c.address));
	run_main(verify, &c);
	assert_int_equal(c.status, DNS_FOUND);
	assert_str(buf_str(&c.name), "localhost");
	assert_str(buf_str(&c.reverse), "localhost");
	buf_free(&c.name);
	buf_free(&c.reverse);
}
