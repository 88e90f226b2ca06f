/* What the client reads of replies, and writes as text. */
#include "unit.h"

#include <errno.h>

#include "base/clock.h"
#include "net/listen.h"
#include "run/fiber.h"
#include "run/loop.h"
#include "smtp_wire/capability.h"
#include "smtp_wire/data.h"
#include "smtp_wire/reply_reader.h"

static const struct {
	const char *in;
	int result, code;
	const char *status, *text;
} replies[] = {
    {"250 2.0.0 Ok\r\n", 0, 250, "2.0.0", "250 2.0.0 Ok"},
    {"250\r\n", 0, 250, "", "250"},
    {"250 \r\n", 0, 250, "", "250"},
    {"250 lf only\n", 0, 250, "", "250 lf only"},
    {"550-5.1.1 a\r\n550 5.1.2 b\r\n", 0, 550, "5.1.2", "550-5.1.1 a 550 5.1.2 b"},
    {"550 4.1.1 other class\r\n", 0, 550, "", "550 4.1.1 other class"},
    {"220-hi\r\n250 text, not a code of ours\r\n", 0, 250, "",
	"220-hi 250 text, not a code of ours"},
    {"220-hi\r\n  text between\r\n220 there\r\n", 0, 220, "", "220-hi 220 there"},
    {"hello\r\n220 there\r\n", 0, 220, "", "220 there"},
    {"2200 no code\r\n220 there\r\n", 0, 220, "", "220 there"},
    {"999 no such class\r\n", -EBADMSG, 0, "", ""},
    {"199 no such class\r\n", -EBADMSG, 0, "", ""},
    {"250-and then", STREAM_EOF, 0, NULL, NULL},
    {"", STREAM_EOF, 0, NULL, NULL},
    {"250 \xe9\x01 8-bit and control\r\n", 0, 250, "", "250 ?? 8-bit and control"},
};

/* One end of a socket pair does something in a fiber of its own. */
struct end {
	struct stream *stream;
	void (*act)(struct end *e);
	const char *in;
	size_t len, repeat, index;
	struct reply *reply;
	int result;
};

static void run_end(void *argument)
{
	struct end *e = argument;
	stream_set_deadline(e->stream, deadline_after_seconds(10));
	e->act(e);
	stream_free(e->stream);
}

static void say(struct end *e)
{
	for (size_t i = 0; e->result == 0 && i < e->repeat; i++)
		e->result = stream_write(e->stream, e->in, e->len);
	if (e->result == 0) /* fails when the reader has left */
		e->result = stream_flush(e->stream);
}

static void listen_to_it(struct end *e)
{
	e->result = reply_read(e->stream, e->reply, NULL, NULL);
}

struct pair {
	struct end first, second;
};

static void run_pair(void *argument)
{
	struct pair *p = argument;
	if (fiber_start("first", run_end, &p->first) != 0)
		return;
	run_end(&p->second);
	while (fiber_count() > 1)
		fiber_sleep_ms(1);
}

static void play(struct pair *p)
{
	int fds[2];
	run_init();
	assert_int_equal(net_pair(fds), 0);
	p->first.stream = stream_new(fds[0]);
	p->second.stream = stream_new(fds[1]);
	run_main(run_pair, p);
}

/* `in`, `repeat` times over, as a server says it. */
static int read_from(const char *in, size_t repeat, struct reply *r)
{
	struct pair p = {
	    .first = {.act = say, .in = in, .len = strlen(in), .repeat = repeat},
	    .second = {.act = listen_to_it, .reply = r},
	};
	play(&p);
	return p.second.result;
}

TEST(reply_is_read_from_lines_good_and_bad)
{
	for (size_t i = 0; i < ARRAY_SIZE(replies); i++) {
		struct reply r;
		reply_init(&r);
		assert_int_equal(read_from(replies[i].in, 1, &r), replies[i].result);
		if (replies[i].text != NULL) {
			assert_int_equal(r.code, replies[i].code);
			assert_string_equal(r.status, replies[i].status);
			assert_str(buf_str(&r.text), replies[i].text);
		}
		reply_free(&r);
	}
}

TEST(reply_without_end_is_an_error_and_bounded)
{
	static const char *const endless[] = {
	    "250-and so on\r\n", "no reply\r\n", "250 a line without end ", "\n"};
	for (size_t i = 0; i < ARRAY_SIZE(endless); i++) {
		struct reply r;
		reply_init(&r);
		assert_int_equal(read_from(endless[i], 1000000, &r), -EBADMSG);
		assert_true(r.text.len <= REPLY_TEXT_MAX);
		reply_free(&r);
	}
}

TEST(ehlo_tells_name_size_and_extensions)
{
	struct ehlo e;
	ehlo_read(STR("250-mx.test at your service\n250-size 1000\n250-AUTH=PLAIN\n"
		      "250-XFOO\n250 PIPELINING"),
	    &e);
	assert_str(e.name, "mx.test");
	assert_int_equal(e.size_limit, 1000);
	assert_int_equal(
	    e.capabilities, CAPABILITY_SIZE | CAPABILITY_AUTH | CAPABILITY_PIPELINING);
	ehlo_read(STR("250 PIPELINING"), &e); /* a name, not an extension */
	assert_int_equal(e.capabilities, 0);
	ehlo_read(STR("250-x\n250-SIZE x\n250 SIZE -5"), &e);
	assert_int_equal(e.size_limit, 0);
	ehlo_read(STR("250"), &e);
	assert_int_equal(e.name.len, 0);
}

static const struct {
	const char *title, *lines[3]; /* parts; one that ends in LF is whole */
	size_t limit;
	const char *wire;
} texts[] = {
    {"plain", {"a\n", "\n", "b\n"}, 10, "a\r\n\r\nb\r\n.\r\n"},
    {"dots", {".\n", "..a\n", "a.\n"}, 10, "..\r\n...a\r\na.\r\n.\r\n"},
    {"no last line end", {"a\n", "b"}, 10, "a\r\nb\r\n.\r\n"},
    {"a dot in the second part", {"a", ".\n"}, 10, "a.\r\n.\r\n"},
    {"as long as may be", {"12345\n"}, 5, "12345\r\n.\r\n"},
    {"longer", {"1234567890\n"}, 5, "12345\r\n 6789\r\n 0\r\n.\r\n"},
    {"longer in parts", {"123", "45.7", "8\n"}, 5, "12345\r\n .78\r\n.\r\n"},
    {"a doubled dot does not count", {".2345\n"}, 5, "..2345\r\n.\r\n"},
    {"the smallest limit", {"abc\n"}, 1, "ab\r\n c\r\n.\r\n"},
    {"no limit", {"1234567890\n"}, 0, "1234567890\r\n.\r\n"},
    {"LF inside a record", {"a\n.\nb", "c\n"}, 10, "a\r\n..\r\nbc\r\n.\r\n"},
};

static void write_text(struct end *e)
{
	struct data_writer w;
	data_writer_init(&w, e->stream, texts[e->index].limit);
	for (size_t i = 0; i < ARRAY_SIZE(texts[0].lines); i++) {
		struct str line = str_of(texts[e->index].lines[i]);
		bool whole = str_ends(line, STR("\n"));
		if (whole)
			line.len--;
		if (e->result == 0 && texts[e->index].lines[i] != NULL)
			e->result = data_write_line(&w, line, whole);
	}
	if (e->result == 0)
		e->result = data_write_end(&w);
	if (e->result == 0)
		e->result = stream_flush(e->stream);
}

static char wire[200];
static size_t wire_len;

static void keep_wire(struct end *e)
{
	ssize_t got = 1;
	wire_len = 0;
	while (got > 0 && wire_len < sizeof(wire)) {
		got =
		    stream_read_some(e->stream, wire + wire_len, sizeof(wire) - wire_len);
		wire_len += got > 0 ? (size_t)got : 0;
	}
}

TEST(text_is_stuffed_and_long_lines_are_broken)
{
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		struct pair p = {
		    .first = {.act = write_text, .index = i},
		    .second = {.act = keep_wire},
		};
		play(&p);
		assert_int_equal(p.first.result, 0);
		assert_str(((struct str){wire, wire_len}), texts[i].wire);
	}
}
