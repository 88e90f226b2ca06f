#include "dns/lookup.h"

#include <errno.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "dns/packet.h"
#include "net/listen.h"
#include "net/stream.h"
#include "run/fiber.h"
#include "run/loop.h"
#include "run/wait.h"
#include "unit.h"

/*
 * A fake name server on one port of 127.0.0.1, UDP and TCP: two fibers. The first label
 * of the name tells how it answers.
 */
static struct {
	int udp, tcp;
	struct run_watch *udp_watch, *tcp_watch;
	char servers[40];
	unsigned over_udp, over_tcp, without_opt, ill_formed;
	uint16_t ports[8]; /* different ones the questions came from */
	unsigned port_count;
	bool stop;
} fake;

static bool ends_in_opt(struct str query)
{
	return str_ends(query, (struct str){"\0\0\x29\x04\xd0\0\0\0\0\0", 11});
}

/* The text of the question's name; the query is our own, but checked all the same. */
static bool question_of(struct str query, char name[256], unsigned *type_r)
{
	size_t at = 12, len = 0;

	while (at < query.len && query.p[at] != '\0') {
		size_t label = (unsigned char)query.p[at];
		if (label > 63 || at + label + 5 > query.len || len + label + 2 > 255)
			return false;
		if (len > 0)
			name[len++] = '.';
		memcpy(name + len, query.p + at + 1, label);
		len += label;
		at += label + 1;
	}
	name[len] = '\0';
	if (at + 5 > query.len)
		return false;
	*type_r = (unsigned char)query.p[at + 2];
	return true;
}

/* False: silence. */
static bool answer_to(struct str query, bool tcp, struct buf *out)
{
	char name[256];
	unsigned type;
	uint16_t id =
	    (uint16_t)((unsigned char)query.p[0] << 8 | (unsigned char)query.p[1]);
	bool opt = ends_in_opt(query);
	unsigned large = tcp ? 60 : 0;

	if (!question_of(query, name, &type)) {
		fake.ill_formed++;
		return false;
	}
	fake.without_opt += !opt;
	if (str_starts(str_of(name), STR("silent")))
		return false;
	if (str_starts(str_of(name), STR("none"))) {
		packet_head(out, id, 0x8183, 0, name, type);
	} else if (str_starts(str_of(name), STR("servfail"))) {
		packet_head(out, id, 0x8182, 0, name, type);
	} else if (str_starts(str_of(name), STR("large"))) {
		packet_head(out, id, tcp ? 0x8180 : 0x8380, large, name, type);
		for (unsigned i = 0; i < large; i++)
			packet_record(out, NULL, DNS_A, 5, STR("\1\2\3\4"));
	} else if (str_starts(str_of(name), STR("formerr")) && opt) {
		packet_head(out, id, 0x8181, 0, name, type);
		return true;
	} else {
		packet_head(out, id, 0x81A0, 1, name, type);
		if (type == DNS_MX)
			packet_mx(out, NULL, 10, "mail.test");
		else
			packet_record(out, NULL, DNS_A, 5, STR("\1\2\3\4"));
	}
	if (opt)
		packet_opt(out);
	return true;
}

static void note_port(const struct sockaddr_storage *peer, socklen_t len)
{
	struct net_address a;

	if (!net_address_from((const struct sockaddr *)peer, len, &a))
		return;
	for (unsigned i = 0; i < fake.port_count; i++)
		if (fake.ports[i] == net_address_port(&a))
			return;
	if (fake.port_count < ARRAY_SIZE(fake.ports))
		fake.ports[fake.port_count++] = net_address_port(&a);
}

static void serve_udp(UNUSED void *argument)
{
	CLEANUP(buf_free) struct buf out = BUF_INIT(65535);
	struct sockaddr_storage peer;
	char query[2000];

	while (run_wait_readable(fake.udp_watch, CLOCK_NEVER) == 0) {
		socklen_t len = sizeof(peer);
		ssize_t got = recvfrom(
		    fake.udp, query, sizeof(query), 0, (struct sockaddr *)&peer, &len);
		if (got < 12)
			continue;
		fake.over_udp++;
		note_port(&peer, len);
		buf_clear(&out);
		if (answer_to((struct str){query, (size_t)got}, false, &out))
			(void)!sendto(
			    fake.udp, out.p, out.len, 0, (struct sockaddr *)&peer, len);
	}
}

static void serve_one_tcp(struct stream *s)
{
	CLEANUP(buf_free) struct buf out = BUF_INIT(65535);
	unsigned char head[2];
	char query[2000];
	size_t len;

	stream_set_deadline(s, deadline_after_seconds(2));
	while (stream_read_exact(s, head, 2) == 0) {
		len = (size_t)head[0] << 8 | head[1];
		if (len > sizeof(query) || stream_read_exact(s, query, len) != 0)
			return;
		fake.over_tcp++;
		buf_clear(&out);
		if (!answer_to((struct str){query, len}, true, &out))
			continue;
		head[0] = (unsigned char)(out.len >> 8);
		head[1] = (unsigned char)out.len;
		(void)!stream_write(s, head, 2);
		(void)!stream_write(s, out.p, out.len);
		(void)!stream_flush(s);
	}
}

static void serve_tcp(UNUSED void *argument)
{
	while (run_wait_readable(fake.tcp_watch, CLOCK_NEVER) == 0) {
		struct net_address peer;
		int fd = net_accept(fake.tcp, &peer);
		struct stream *s;

		if (fd < 0)
			continue;
		s = stream_new(fd);
		serve_one_tcp(s);
		stream_free(s);
	}
}

static void open_fake(void)
{
	struct net_address a;
	socklen_t len = sizeof(a.storage);

	memset(&fake, 0, sizeof(fake));
	run_init();
	assert_true(net_address_parse(STR("127.0.0.1"), 0, &a));
	fake.tcp = net_listen(&a, 5);
	assert_true(fake.tcp >= 0);
	assert_int_equal(getsockname(fake.tcp, (struct sockaddr *)&a.storage, &len), 0);
	fake.udp = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	assert_true(fake.udp >= 0);
	assert_int_equal(bind(fake.udp, (struct sockaddr *)&a.storage, len), 0);
	(void)snprintf(
	    fake.servers, sizeof(fake.servers), "127.0.0.1:%u", net_address_port(&a));
	fake.udp_watch = run_watch_new(fake.udp);
	fake.tcp_watch = run_watch_new(fake.tcp);
	assert_int_equal(fiber_start("udp", serve_udp, NULL), 0);
	assert_int_equal(fiber_start("tcp", serve_tcp, NULL), 0);
	assert_int_equal(dns_open(fake.servers), 0);
}

static void end_fake(UNUSED void *argument)
{
	run_watch_cancel(fake.udp_watch);
	run_watch_cancel(fake.tcp_watch);
	while (fiber_count() > 1)
		fiber_sleep_ms(1);
}

static void close_fake(void)
{
	dns_close();
	run_main(end_fake, NULL);
	run_watch_free(fake.udp_watch);
	run_watch_free(fake.tcp_watch);
	file_close(&fake.udp);
	file_close(&fake.tcp);
	assert_int_equal(fake.ill_formed, 0);
}

struct question {
	const char *name;
	enum dns_type type;
	int64_t timeout_ms;
	struct arena *arena;
	struct dns_answer answer;
	int64_t took_ms;
};

static void ask(void *argument)
{
	struct question *q = argument;
	int64_t start = clock_ms();

	q->answer = dns_lookup(
	    str_of(q->name), q->type, q->arena, deadline_after_ms(q->timeout_ms));
	q->took_ms = clock_ms() - start;
}

static struct question asked(const char *name, enum dns_type type, struct arena *arena)
{
	struct question q = {
	    .name = name, .type = type, .timeout_ms = 5000, .arena = arena};

	run_main(ask, &q);
	return q;
}

TEST(lookup_asks_with_edns_and_reads_the_answer)
{
	CLEANUP(arena_free_cleanup) struct arena *arena = arena_new(100000);
	struct question q;

	open_fake();
	q = asked("found.test", DNS_MX, arena);
	assert_int_equal(q.answer.status, DNS_FOUND);
	assert_true(q.answer.authentic);
	assert_int_equal(q.answer.count, 1);
	assert_str(q.answer.records[0].target, "mail.test");
	assert_int_equal(asked("none.test", DNS_A, arena).answer.status, DNS_NO_NAME);
	assert_int_equal(
	    asked("servfail.test", DNS_A, arena).answer.status, DNS_TRY_LATER);
	assert_int_equal(asked("servfail.test", DNS_A, arena).answer.rcode, 2);
	assert_int_equal(asked("bad..name", DNS_A, arena).answer.status, DNS_BAD_NAME);
	assert_int_equal(fake.over_udp, 4);
	assert_int_equal(fake.over_tcp, 0);
	assert_int_equal(fake.without_opt, 0);
	close_fake();
}

TEST(lookup_of_a_truncated_answer_goes_on_over_tcp)
{
	CLEANUP(arena_free_cleanup) struct arena *arena = arena_new(100000);
	struct question q;

	open_fake();
	q = asked("large.test", DNS_A, arena);
	assert_int_equal(q.answer.status, DNS_FOUND);
	assert_int_equal(q.answer.count, 60);
	assert_int_equal(fake.over_udp, 1);
	assert_int_equal(fake.over_tcp, 1);
	close_fake();
}

TEST(lookup_ends_at_its_deadline_when_the_server_is_silent)
{
	CLEANUP(arena_free_cleanup) struct arena *arena = arena_new(100000);
	struct question q = {.name = "silent.test", .type = DNS_A, .timeout_ms = 20};

	open_fake();
	q.arena = arena;
	run_main(ask, &q);
	assert_int_equal(q.answer.status, DNS_TRY_LATER);
	assert_true(q.took_ms >= 19 && q.took_ms < 1000);
	/* The late question does not disturb the next one. */
	assert_int_equal(asked("found.test", DNS_A, arena).answer.status, DNS_FOUND);
	close_fake();
}

TEST(lookup_from_a_server_without_edns_spoils_nothing_for_others)
{
	CLEANUP(arena_free_cleanup) struct arena *arena = arena_new(100000);

	open_fake();
	assert_int_equal(asked("formerr.test", DNS_A, arena).answer.status, DNS_FOUND);
	assert_int_equal(fake.without_opt, 1);
	assert_int_equal(asked("found.test", DNS_A, arena).answer.status, DNS_FOUND);
	assert_int_equal(fake.without_opt, 1);
	assert_int_equal(asked("formerr.test", DNS_A, arena).answer.status, DNS_FOUND);
	assert_int_equal(fake.without_opt, 2);
	close_fake();
}

static unsigned found_count;

static void ask_and_count(void *argument)
{
	struct question q = {.name = argument, .type = DNS_A, .timeout_ms = 5000};
	CLEANUP(arena_free_cleanup) struct arena *arena = arena_new(100000);

	q.arena = arena;
	ask(&q);
	found_count += q.answer.status == DNS_FOUND;
}

static void ask_often(UNUSED void *argument)
{
	static char name[] = "found.test";

	for (int i = 0; i < 25; i++) {
		for (int j = 0; j < 10; j++)
			if (fiber_start("asker", ask_and_count, name) != 0)
				return;
		while (fiber_count() > 3) /* this one and the servers */
			fiber_sleep_ms(1);
	}
}

TEST(lookups_run_side_by_side_and_change_their_port)
{
	open_fake();
	found_count = 0;
	run_main(ask_often, NULL);
	assert_int_equal(found_count, 250);
	assert_true(fake.port_count >= 3);
	close_fake();
}

static void ask_then_close(void *argument)
{
	struct question *q = argument;

	if (fiber_start("asker", ask, q) != 0)
		return;
	fiber_sleep_ms(2);
	dns_close();
	fiber_sleep_ms(1);
	if (dns_open(fake.servers) != 0)
		q->answer.status = DNS_FOUND;
}

TEST(lookup_under_way_ends_when_dns_is_closed)
{
	CLEANUP(arena_free_cleanup) struct arena *arena = arena_new(100000);
	struct question q = {
	    .name = "silent.test", .type = DNS_A, .timeout_ms = 5000, .arena = arena};

	open_fake();
	q.answer.status = DNS_FOUND;
	run_main(ask_then_close, &q);
	assert_int_equal(q.answer.status, DNS_TRY_LATER);
	assert_true(q.took_ms < 1000);
	close_fake();
}

TEST(lookup_texts_are_those_of_the_log)
{
	assert_string_equal(dns_status_text(DNS_NO_NAME), "Host not found");
	assert_string_equal(dns_status_text(DNS_TRY_LATER), "Host not found, try again");
	assert_string_equal(dns_status_text(DNS_NO_DATA),
	    "Host found but no data record of requested type");
	assert_string_equal(
	    dns_status_text(DNS_MALFORMED), "Malformed or unexpected name server reply");
	assert_int_equal(dns_open("not an address"), -EIO);
}
