#include "dns/message.h"

#include "dns/packet.h"
#include "unit.h"

#define ANSWER   0x8180
#define NXDOMAIN 0x8183

static struct arena *arena;
static struct buf packet = {.ceiling = 65535};

/* A fresh packet: an answer about `name` with `answers` records to come. */
static void begin(const char *name, unsigned type, unsigned answers)
{
	arena_free(arena);
	arena = arena_new(100000);
	buf_clear(&packet);
	packet_head(&packet, 7, ANSWER, answers, name, type);
}

static struct dns_answer read_as(const char *name, enum dns_type type)
{
	struct dns_answer answer;
	/* A copy of the exact size lets ASan see one byte too many. */
	char *copy = malloc(packet.len + 1);

	memcpy(copy, packet.p, packet.len);
	answer =
	    dns_answer_read((struct str){copy, packet.len}, 7, str_of(name), type, arena);
	free(copy);
	return answer;
}

static void assert_record(const struct dns_record *record, const char *text)
{
	CLEANUP(buf_free) struct buf shown = BUF_INIT(1000);
	dns_record_text(&shown, record);
	assert_string_equal(buf_cstr(&shown), text);
}

static void add_cname(const char *owner, const char *target)
{
	CLEANUP(buf_free) struct buf data = BUF_INIT(300);

	packet_name(&data, target);
	packet_record(&packet, owner, DNS_CNAME, 60, buf_str(&data));
}

TEST(dns_names_are_host_names)
{
	static const struct {
		const char *name;
		bool ok;
	} rows[] = {
	    {"example.com", true},
	    {"example.com.", true},
	    {"_dmarc.example.com", true},
	    {"1.0.0.127.in-addr.arpa", true},
	    {"xn--bcher-kva.example", true},
	    {"localhost", true},
	    {"a-b.c", true},
	    {"127.0.0.1", false},
	    {"1", false},
	    {"", false},
	    {".", false},
	    {".example.com", false},
	    {"example..com", false},
	    {"example.com..", false},
	    {"-a.com", false},
	    {"a-.com", false},
	    {"a.com-", false},
	    {"a b.com", false},
	    {"a@b.com", false},
	    {"b\xc3\xbc"
	     "cher.example",
		false},
	};
	char label[70];

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		assert_int_equal(dns_name_is_valid(str_of(rows[i].name)), rows[i].ok);
	memset(label, 'a', sizeof(label));
	assert_true(dns_name_is_valid((struct str){label, 63}));
	assert_false(dns_name_is_valid((struct str){label, 64}));
}

TEST(dns_name_length_is_that_of_the_wire)
{
	char name[256];

	for (size_t i = 0; i < sizeof(name); i++)
		name[i] = i % 50 == 49 ? '.' : 'a';
	assert_true(dns_name_is_valid((struct str){name, 253}));
	assert_false(dns_name_is_valid((struct str){name, 254}));
}

TEST(dns_query_ends_in_its_opt_record)
{
	static const char expected[] = "\x12\x34\x01\x20\0\1\0\0\0\0\0\1"
				       "\7example\3com\0\0\x0f\0\1"
				       "\0\0\x29\x04\xd0\0\0\0\0\0\0";
	CLEANUP(buf_free) struct buf query = BUF_INIT(512), small = BUF_INIT(20);

	assert_true(dns_query_write(&query, 0x1234, STR("example.com."), DNS_MX));
	assert_int_equal(query.len, sizeof(expected) - 1);
	assert_memory_equal(query.p, expected, query.len);
	assert_false(dns_query_write(&query, 1, STR("bad..name"), DNS_MX));
	assert_false(dns_query_write(&small, 1, STR("example.com"), DNS_MX));
}

TEST(dns_answer_gives_mail_exchangers)
{
	struct dns_answer answer;

	begin("Example.COM", DNS_MX, 2);
	packet_mx(&packet, NULL, 10, "Mail.example.com");
	packet_mx(&packet, "example.com", 20, "backup.example.org");
	packet.p[3] |= 0x20;
	answer = read_as("example.com.", DNS_MX);
	assert_int_equal(answer.status, DNS_FOUND);
	assert_true(answer.authentic);
	assert_int_equal(answer.count, 2);
	assert_int_equal(answer.records[0].preference, 10);
	assert_str(answer.records[0].target, "mail.example.com");
	assert_str(answer.records[0].name, "example.com");
	assert_int_equal(answer.records[0].ttl, 300);
	assert_int_equal(answer.records[1].preference, 20);
	assert_str(answer.records[1].target, "backup.example.org");
	assert_str(answer.canonical, "example.com");
}

TEST(dns_answer_gives_every_type)
{
	static const char srv[] = "\0\1\0\2\0\x19\4host\1x\0";
	static const char text[] = "\5v=abc\0\2de";
	CLEANUP(buf_free) struct buf shown = BUF_INIT(100);
	struct dns_answer answer;

	begin("x.y", DNS_A, 1);
	packet_record(&packet, NULL, DNS_A, 0x80000001, STR("\x7f\0\0\1"));
	answer = read_as("x.y", DNS_A);
	assert_int_equal(answer.status, DNS_FOUND);
	net_address_add_text(&shown, &answer.records[0].address);
	assert_str(buf_str(&shown), "127.0.0.1");
	assert_int_equal(answer.records[0].ttl, 0); /* the sign bit: RFC 2181 section 8 */
	assert_false(answer.authentic);

	begin("x.y", DNS_AAAA, 1);
	packet_record(
	    &packet, NULL, DNS_AAAA, 5, STR("\x20\1\xd\xb8\0\0\0\0\0\0\0\0\0\0\0\1"));
	answer = read_as("x.y", DNS_AAAA);
	buf_clear(&shown);
	net_address_add_text(&shown, &answer.records[0].address);
	assert_str(buf_str(&shown), "2001:db8::1");

	begin("x.y", DNS_SRV, 1);
	packet_record(&packet, NULL, DNS_SRV, 5, (struct str){srv, sizeof(srv) - 1});
	answer = read_as("x.y", DNS_SRV);
	assert_int_equal(answer.status, DNS_FOUND);
	assert_int_equal(answer.records[0].preference, 1);
	assert_int_equal(answer.records[0].weight, 2);
	assert_int_equal(answer.records[0].port, 25);
	assert_str(answer.records[0].target, "host.x");
	assert_record(&answer.records[0], "x.y. 5 IN SRV 1 2 25 host.x.");

	begin("x.y", DNS_TXT, 1);
	packet_record(&packet, NULL, DNS_TXT, 5, (struct str){text, sizeof(text) - 1});
	answer = read_as("x.y", DNS_TXT);
	assert_str(answer.records[0].target, "v=abcde");

	begin("x.y", DNS_CNAME, 1);
	add_cname(NULL, "a.b");
	answer = read_as("x.y", DNS_CNAME);
	assert_str(answer.records[0].target, "a.b");
	assert_str(answer.canonical, "x.y");
}

TEST(dns_answer_with_null_mx_has_an_empty_target)
{
	struct dns_answer answer;

	begin("x.y", DNS_MX, 1);
	packet_mx(&packet, NULL, 0, "");
	answer = read_as("x.y", DNS_MX);
	assert_int_equal(answer.status, DNS_FOUND);
	assert_str(answer.records[0].target, "");
}

TEST(dns_answer_follows_a_chain_in_any_order)
{
	struct dns_answer answer;

	begin("x.y", DNS_A, 5);
	packet_record(&packet, "end.b", DNS_A, 5, STR("\1\2\3\4"));
	add_cname("mid.a", "end.b");
	add_cname("other.a", "evil.b");
	packet_record(&packet, "evil.b", DNS_A, 5, STR("\6\6\6\6"));
	add_cname(NULL, "MID.a");
	answer = read_as("x.y", DNS_A);
	assert_int_equal(answer.status, DNS_FOUND);
	assert_int_equal(answer.count, 1);
	assert_str(answer.records[0].name, "end.b");
	assert_str(answer.canonical, "end.b");
}

static enum dns_status chain_of(unsigned links, bool closed)
{
	char from[20], to[20];

	begin("n0.x", DNS_A, links + 1);
	for (unsigned i = 0; i < links; i++) {
		(void)snprintf(from, sizeof(from), "n%u.x", i);
		(void)snprintf(
		    to, sizeof(to), "n%u.x", closed && i + 1 == links ? 0 : i + 1);
		add_cname(from, to);
	}
	(void)snprintf(to, sizeof(to), "n%u.x", links);
	packet_record(&packet, to, DNS_A, 5, STR("\1\2\3\4"));
	return read_as("n0.x", DNS_A).status;
}

TEST(dns_answer_with_an_endless_chain_is_malformed)
{
	assert_int_equal(chain_of(1, false), DNS_FOUND);
	assert_int_equal(chain_of(16, false), DNS_FOUND);
	assert_int_equal(chain_of(17, false), DNS_MALFORMED);
	assert_int_equal(chain_of(1, true), DNS_MALFORMED);
	assert_int_equal(chain_of(3, true), DNS_MALFORMED);
}

TEST(dns_answer_status_follows_the_response_code)
{
	static const struct {
		unsigned flags;
		enum dns_status status;
	} rows[] = {
	    {ANSWER, DNS_NO_DATA}, {NXDOMAIN, DNS_NO_NAME}, {0x8182, DNS_TRY_LATER},
	    {0x8185, DNS_TRY_LATER}, {0x8181, DNS_TRY_LATER},
	    {0x8380, DNS_TRY_LATER}, /* truncated */
	    {0x0180, DNS_MALFORMED}, /* a question */
	    {0xA180, DNS_MALFORMED}, /* another operation */
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct dns_answer answer;
		begin("x.y", DNS_A, 0);
		buf_clear(&packet);
		packet_head(&packet, 7, rows[i].flags, 0, "x.y", DNS_A);
		answer = read_as("x.y", DNS_A);
		assert_int_equal(answer.status, rows[i].status);
		assert_int_equal(answer.count, 0);
		if (answer.status != DNS_MALFORMED)
			assert_int_equal(answer.rcode, rows[i].flags & 0xF);
	}
}

TEST(dns_answer_to_another_question_is_malformed)
{
	begin("x.y", DNS_A, 0);
	assert_int_equal(read_as("x.z", DNS_A).status, DNS_MALFORMED);
	assert_int_equal(read_as("x.y", DNS_MX).status, DNS_MALFORMED);
	assert_int_equal(read_as("x..y", DNS_A).status, DNS_BAD_NAME);
	packet.p[1] = 8; /* id */
	assert_int_equal(read_as("x.y", DNS_A).status, DNS_MALFORMED);
	packet.p[1] = 7;
	packet.p[packet.len - 1] = 3; /* class CHAOS */
	assert_int_equal(read_as("x.y", DNS_A).status, DNS_MALFORMED);
	packet.p[packet.len - 1] = 1;
	packet.p[5] = 2; /* two questions */
	assert_int_equal(read_as("x.y", DNS_A).status, DNS_MALFORMED);
}

TEST(dns_answer_cut_anywhere_is_malformed)
{
	size_t whole;

	begin("x.y", DNS_MX, 2);
	packet_mx(&packet, NULL, 10, "mail.x.y");
	packet_mx(&packet, NULL, 10, "mail2.x.y");
	whole = packet.len;
	assert_int_equal(read_as("x.y", DNS_MX).status, DNS_FOUND);
	for (size_t len = 0; len < whole; len++) {
		buf_truncate(&packet, whole - len);
		if (len > 0)
			assert_int_equal(read_as("x.y", DNS_MX).status, DNS_MALFORMED);
	}
}

/* Each type with data of each length from 0 to 40. */
TEST(dns_record_data_of_any_length_is_read_safely)
{
	static const enum dns_type types[] = {
	    DNS_A, DNS_NS, DNS_CNAME, DNS_PTR, DNS_MX, DNS_TXT, DNS_AAAA, DNS_SRV};
	static const char fillers[] = {0, 1, 3, 'a', 63, 64, (char)0xC0, (char)0xFF};
	char data[40];

	for (size_t t = 0; t < ARRAY_SIZE(types); t++) {
		for (size_t f = 0; f < ARRAY_SIZE(fillers); f++) {
			memset(data, fillers[f], sizeof(data));
			for (size_t len = 0; len <= sizeof(data); len++) {
				struct dns_answer answer;
				begin("x.y", types[t], 1);
				packet_record(
				    &packet, NULL, types[t], 5, (struct str){data, len});
				answer = read_as("x.y", types[t]);
				assert_true(answer.status == DNS_FOUND ||
				    answer.status == DNS_MALFORMED);
				if (types[t] == DNS_A)
					assert_int_equal(
					    answer.status == DNS_FOUND, len == 4);
				if (types[t] == DNS_AAAA)
					assert_int_equal(
					    answer.status == DNS_FOUND, len == 16);
			}
		}
	}
}

TEST(dns_records_that_name_no_host_are_left_out)
{
	static const char *const hosts[] = {"192.0.2", "a b.c", "-a.b", "x\n.y", "*.y"};
	struct dns_answer answer;

	for (size_t i = 0; i < ARRAY_SIZE(hosts); i++) {
		begin("x.y", DNS_MX, 2);
		packet_mx(&packet, NULL, 10, hosts[i]);
		packet_mx(&packet, NULL, 20, "good.y");
		answer = read_as("x.y", DNS_MX);
		assert_int_equal(answer.status, DNS_FOUND);
		assert_int_equal(answer.count, 1);
		assert_str(answer.records[0].target, "good.y");
		begin("x.y", DNS_MX, 1);
		packet_mx(&packet, NULL, 10, hosts[i]);
		answer = read_as("x.y", DNS_MX);
		assert_int_equal(answer.status, DNS_MALFORMED);
		assert_int_equal(answer.dropped, 1);
	}
}

TEST(dns_mail_exchanger_may_be_an_ipv4_address)
{
	begin("x.y", DNS_MX, 1);
	packet_mx(&packet, NULL, 10, "192.0.2.1");
	struct dns_answer answer = read_as("x.y", DNS_MX);
	assert_int_equal(answer.status, DNS_FOUND);
	assert_str(answer.records[0].target, "192.0.2.1");
}

TEST(dns_name_with_a_dot_inside_a_label_is_not_the_other_one)
{
	begin("x.y", DNS_A, 1);
	buf_add(&packet, "\3x.y\0\0\1\0\1\0\0\0\5\0\4\1\2\3\4", 19);
	assert_int_equal(read_as("x.y", DNS_A).status, DNS_NO_DATA);
}

TEST(dns_pointers_that_do_not_lead_backwards_are_refused)
{
	static const struct {
		const char *name;
		size_t len;
		bool ok;
	} rows[] = {
	    {"\xC0\x0C", 2, true},     /* the question */
	    {"\xC0\x15", 2, false},    /* itself: the record begins at 21 */
	    {"\xC0\x16", 2, false},    /* into itself */
	    {"\xC0\xFF", 2, false},    /* forwards */
	    {"\xFF\xFF", 2, false},    /* beyond the end */
	    {"\1a\xC0\x15", 4, false}, /* endless: a.a.a... */
	    {"\x80\x0C", 2, false},    /* label types that are not */
	    {"\x40\x0C", 2, false},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		begin("x.y", DNS_A, 1);
		assert_int_equal(packet.len, 21);
		buf_add(&packet, rows[i].name, rows[i].len);
		buf_add(&packet, "\0\1\0\1\0\0\0\5\0\4\1\2\3\4", 14);
		assert_int_equal(
		    read_as("x.y", DNS_A).status, rows[i].ok ? DNS_FOUND : DNS_MALFORMED);
	}
}

TEST(dns_pointers_are_followed_64_times)
{
	for (unsigned pointers = 63; pointers <= 65; pointers++) {
		/* A TXT record whose data is a staircase of pointers to the name before.
		 */
		CLEANUP(buf_free) struct buf stairs = BUF_INIT(1000);
		begin("x.y", DNS_A, 2);
		for (unsigned i = 0; i + 1 < pointers; i++)
			packet_u16(&stairs, 0xC000 | (i == 0 ? 12 : 33 + (i - 1) * 2));
		packet_record(&packet, NULL, DNS_TXT, 5, buf_str(&stairs));
		packet_u16(&packet, 0xC000 | (33 + (pointers - 2) * 2));
		buf_add(&packet, "\0\1\0\1\0\0\0\5\0\4\1\2\3\4", 14);
		assert_int_equal(read_as("x.y", DNS_A).status,
		    pointers <= 64 ? DNS_FOUND : DNS_MALFORMED);
	}
}

TEST(dns_answer_keeps_100_records)
{
	begin("x.y", DNS_A, 300);
	for (int i = 0; i < 300; i++)
		packet_record(&packet, NULL, DNS_A, 5, STR("\1\2\3\4"));
	assert_int_equal(read_as("x.y", DNS_A).count, DNS_RECORDS_MAX);
}

TEST(dns_answer_that_overfills_the_arena_is_for_later)
{
	for (size_t room = 0; room < 1200; room += 16) {
		struct dns_answer answer;
		begin("x.y", DNS_MX, 3);
		packet_mx(&packet, NULL, 10, "a-rather-long-name-of-a-host.example.com");
		packet_mx(
		    &packet, NULL, 10, "another-rather-long-name-of-a-host.example.com");
		packet_mx(
		    &packet, NULL, 10, "a-third-rather-long-name-of-a-host.example.com");
		arena_free(arena);
		arena = arena_new(room);
		answer = read_as("x.y", DNS_MX);
		assert_true(answer.status == DNS_TRY_LATER || answer.count == 3);
		assert_true(room > 0 || answer.status == DNS_TRY_LATER);
	}
	arena_free(arena);
	arena = NULL;
	buf_free(&packet);
}

TEST(dns_records_are_text_as_filters_see_them)
{
	struct dns_answer answer;

	begin("x.y", DNS_MX, 1);
	packet_mx(&packet, NULL, 10, "Mail.x.y");
	answer = read_as("x.y", DNS_MX);
	assert_record(&answer.records[0], "x.y. 300 IN MX 10 mail.x.y.");
	begin("x.y", DNS_A, 1);
	packet_record(&packet, NULL, DNS_A, 7, STR("\177\0\0\1"));
	answer = read_as("x.y", DNS_A);
	assert_record(&answer.records[0], "x.y. 7 IN A 127.0.0.1");
}

TEST(dns_service_may_be_at_an_address)
{
	struct dns_answer answer;

	CLEANUP(buf_free) struct buf data = BUF_INIT(300);
	buf_add_str(&data, STR("\0\1\0\2\0\031"));
	packet_name(&data, "127.0.0.1");
	begin("_smtp._tcp.x.y", DNS_SRV, 1);
	packet_record(&packet, NULL, DNS_SRV, 5, buf_str(&data));
	answer = read_as("_smtp._tcp.x.y", DNS_SRV);
	assert_int_equal(answer.status, DNS_FOUND);
	assert_str(answer.records[0].target, "127.0.0.1");
}
