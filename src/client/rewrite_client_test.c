#include "client/rewrite_client.h"

#include "ipc/ipc_fake.h"

#define MANY  1000
#define ARENA (16 * 1024 * 1024)

static unsigned asked;
static char nexthop[2049] = "host.test";
static uint32_t flags;
static struct rewrite_client *client;

/* Says that all goes to the same place. */
static void answer(struct ipc_exchange *x)
{
	uint16_t type = 0;
	struct str payload;
	struct resolve_request request;
	CLEANUP(arena_free_cleanup) struct arena *a = arena_new(ARENA);
	CLEANUP(buf_free) struct buf out = BUF_INIT(WIRE_PAYLOAD_MAX);
	if (ipc_receive(x, &type, &payload, SOON) != 0 ||
	    !resolve_request_read(payload, a, &request))
		return;
	asked += request.addresses_count;
	struct resolved *results =
	    arena_alloc_array(a, request.addresses_count, sizeof(*results));
	for (uint32_t i = 0; i < request.addresses_count; i++)
		results[i] = (struct resolved){.flags = flags,
		    .transport = STR("smtp"),
		    .nexthop = str_of(nexthop),
		    .recipient = request.addresses[i].address};
	const struct resolve_reply reply = {results, request.addresses_count};
	resolve_reply_write(&out, &reply);
	(void)!ipc_reply(x, resolve_reply_type, buf_str(&out));
}

/* How many questions reached the service. */
static unsigned resolve(
    struct str sender, enum resolve_how how, const struct str *addresses, size_t count)
{
	CLEANUP(arena_free_cleanup) struct arena *a = arena_new(ARENA);
	static struct resolved results[MANY];
	struct resolve_question q = {.sender = sender, .how = (uint8_t)how};
	asked = 0;
	ENSURE(rewrite_resolve(client, q, addresses, count, a, results) == 0);
	for (size_t i = 0; i < count; i++)
		ENSURE(str_equal(results[i].recipient, addresses[i]) &&
		    str_is(results[i].nexthop, nexthop) && results[i].flags == flags);
	return asked;
}

static unsigned resolve_one(const char *sender, enum resolve_how how, const char *address)
{
	struct str recipient = str_of(address);
	return resolve(str_of(sender), how, &recipient, 1);
}

static void with_service(void (*body)(void *), unsigned *seen)
{
	const struct ipc_server_options options = {
	    .service = "rewrite", .client_limit = 10, .handler = answer};
	flags = RESOLVE_CLASS_DEFAULT;
	run_init();
	struct fake_socket s = fake_listen();
	struct ipc_server *server = ipc_server_new(&options);
	ipc_server_listen(server, s.fd);
	struct ipc_client *ipc = ipc_client_new(s.path, "rewrite", NULL);
	client = rewrite_client_new(ipc);
	run_main(body, seen);
	rewrite_client_free(client);
	ipc_client_free(ipc);
	ipc_server_free(server);
	(void)close(s.fd);
}

static void ask_again(void *argument)
{
	unsigned *seen = argument;
	clock_fake_start(1700000000);
	seen[0] = resolve_one("a@b.test", RESOLVE_COMPLETE, "x@y.test");
	seen[1] = resolve_one("a@b.test", RESOLVE_COMPLETE, "x@y.test");
	clock_fake_advance_ms(999);
	seen[2] = resolve_one("a@b.test", RESOLVE_COMPLETE, "x@y.test");
	clock_fake_advance_ms(1);
	seen[3] = resolve_one("a@b.test", RESOLVE_COMPLETE, "x@y.test");
	/* Last: any of these may take the place of that answer. */
	seen[4] = resolve_one("", RESOLVE_COMPLETE, "x@y.test");
	seen[5] = resolve_one("a@b.test", RESOLVE_PROBE, "x@y.test");
	seen[6] = resolve_one("a@b.test", RESOLVE_COMPLETE, "z@y.test");
	clock_fake_stop();
}

TEST(an_answer_is_remembered_for_a_second)
{
	unsigned seen[7];
	with_service(ask_again, seen);
	assert_int_equal(seen[0], 1);
	assert_int_equal(seen[1], 0);
	assert_int_equal(seen[2], 0);
	assert_int_equal(seen[3], 1);
	assert_int_equal(seen[4], 1);
	assert_int_equal(seen[5], 1);
	assert_int_equal(seen[6], 1);
}

static void ask_later(void *argument)
{
	unsigned *seen = argument;
	flags = RESOLVE_TRY_LATER;
	seen[0] = resolve_one("a@b.test", RESOLVE_COMPLETE, "x@y.test");
	seen[1] = resolve_one("a@b.test", RESOLVE_COMPLETE, "x@y.test");
}

TEST(what_a_table_did_not_answer_is_asked_again)
{
	unsigned seen[2];
	with_service(ask_later, seen);
	assert_int_equal(seen[0], 1);
	assert_int_equal(seen[1], 1);
}

/* More questions than places, and some that are too long for one. */
static void ask_much(void *argument)
{
	unsigned *seen = argument;
	char text[1100];
	const struct str three[] = {STR("a@y.test"), STR("b@y.test"), STR("c@y.test")};
	memset(seen, 0, 3 * sizeof(*seen));
	for (int i = 0; i < 1000; i++) {
		(void)snprintf(text, sizeof(text), "%d@y.test", i);
		seen[0] += resolve_one("a@b.test", RESOLVE_COMPLETE, text);
	}
	memset(text, 'x', sizeof(text));
	text[sizeof(text) - 1] = '\0';
	for (int i = 0; i < 2; i++)
		seen[1] += resolve_one("a@b.test", RESOLVE_COMPLETE, text);
	for (int i = 0; i < 2; i++)
		seen[2] += resolve(STR("a@b.test"), RESOLVE_COMPLETE, three, 3);
}

TEST(memory_of_answers_is_bounded)
{
	unsigned seen[3];
	with_service(ask_much, seen);
	assert_int_equal(seen[0], 1000);
	assert_int_equal(seen[1], 2);
	assert_int_equal(seen[2], 3);
}

/* As long as an address and a next hop may be: no frame holds all of it. */
static void ask_of_many(void *argument)
{
	unsigned *seen = argument;
	static char text[ADDRESS_MAX + 1];
	static struct str addresses[MANY];
	memset(text, 'x', ADDRESS_MAX);
	for (size_t i = 0; i < MANY; i++)
		addresses[i] = str_of(text);
	memset(nexthop, 'y', sizeof(nexthop) - 1);
	*seen = resolve(STR("a@b.test"), RESOLVE_COMPLETE, addresses, MANY);
	(void)snprintf(nexthop, sizeof(nexthop), "host.test");
}

TEST(many_long_addresses_are_asked_about_in_several_questions)
{
	unsigned seen = 0;
	with_service(ask_of_many, &seen);
	assert_int_equal(seen, MANY);
}
