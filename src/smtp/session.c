/* A connection to a server: made, greeted, kept for the next message, ended. */
#include <errno.h>
#include <stdarg.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "net/connect.h"
#include "run/loop.h"
#include "smtp/smtp.h"
#include "smtp_wire/capability.h"
#include "smtp_wire/reply_reader.h"

static struct list_link kept = LIST_INIT(kept);
static struct run_timer *sweep_timer;

static void session_free(struct session *s)
{
	list_remove(&s->link);
	stream_free(s->stream);
	free(s->key);
	free(s->relay);
	free(s->peer);
	free(s);
}

static struct session *session_new(
    const struct host *h, struct str key, struct stream *stream)
{
	struct session *s = memory_alloc(sizeof(*s));
	CLEANUP(buf_free) struct buf text = BUF_INIT(2048);
	s->stream = stream;
	s->host = *h;
	s->born = clock_ms();
	list_init(&s->link);
	host_text(&text, h, false);
	s->peer = memory_copy_cstr(buf_cstr(&text));
	buf_clear(&text);
	host_text(&text, h, true);
	s->relay = memory_copy_cstr(buf_cstr(&text));
	buf_clear(&text);
	buf_add_str(&text, key);
	s->key = memory_copy_cstr(buf_cstr(&text));
	return s;
}

void session_send(struct session *s, const char *doing, const char *format, ...)
{
	CLEANUP(buf_free) struct buf line = BUF_INIT(8192);
	va_list args;
	va_start(args, format);
	buf_vprintf(&line, format, args);
	va_end(args);
	buf_add_cstr(&line, "\r\n");
	s->doing = doing;
	if (!buf_ok(&line) || stream_write_str(s->stream, buf_str(&line)) != 0)
		s->broken = true;
}

bool session_reply(struct session *s, const char *doing, int64_t seconds, struct reply *r,
    struct why *why)
{
	s->doing = doing;
	stream_set_deadline(s->stream, deadline_after_seconds(seconds));
	int error = stream_flush(s->stream);
	if (error == 0)
		error = reply_read(s->stream, r);
	if (error == 0 && r->code == 421)
		s->broken = true; /* RFC 5321 3.8: the server is about to close */
	if (error == 0)
		return true;
	s->broken = true;
	return trouble_lost(why, s, error);
}

/* One EHLO line after the first: "SIZE 10240000". */
static void take_keyword(struct session *s, struct str line)
{
	struct str keyword;
	if (!str_next(&line, " \t=", &keyword))
		return;
	uint32_t bit = capability_find(keyword) & ~smtp.discard_keywords;
	s->capabilities |= bit;
	if (bit == CAPABILITY_SIZE && !str_to_i64(str_trim(line), &s->size_limit))
		s->size_limit = 0;
}

static bool is_myself(struct session *s, const struct reply *r, struct why *why)
{
	struct str text = str_skip(buf_str(&r->text), 4), name;
	if (!str_next(&text, " \t", &name) ||
	    !str_is_nocase(name, service_common()->myhostname))
		return false;
	log_warning("host %s replied to HELO/EHLO with my own hostname %s", s->peer,
	    service_common()->myhostname);
	(void)why_never(why, "5.4.6", "mail for %s loops back to myself", s->key);
	return true;
}

static bool take_ehlo(struct session *s, const struct reply *r, struct why *why)
{
	struct str lines = buf_str(&r->lines), line;
	bool first = true;
	if (is_myself(s, r, why))
		return false;
	while (str_next(&lines, "\n", &line)) {
		if (!first)
			take_keyword(s, str_skip(line, 4));
		first = false;
	}
	return true;
}

static bool say_helo(struct session *s, struct reply *r, struct why *why)
{
	session_send(
	    s, "performing the HELO handshake", "HELO %s", smtp.params.smtp_helo_name);
	if (!session_reply(s, "performing the HELO handshake",
		smtp.params.smtp_helo_timeout, r, why))
		return false;
	if (reply_class(r) != 2)
		return trouble_said(why, s, r, "HELO");
	return !is_myself(s, r, why);
}

static bool say_hello(struct session *s, struct reply *r, struct why *why)
{
	if (smtp.params.smtp_never_send_ehlo)
		return say_helo(s, r, why);
	session_send(
	    s, "performing the EHLO handshake", "EHLO %s", smtp.params.smtp_helo_name);
	if (!session_reply(s, "performing the EHLO handshake",
		smtp.params.smtp_helo_timeout, r, why))
		return false;
	if (reply_class(r) == 2)
		return take_ehlo(s, r, why);
	if (reply_class(r) == 4)
		return trouble_said(why, s, r, "EHLO");
	return say_helo(s, r, why);
}

/* A 5xx greeting concerns this host only (smtp_skip_5xx_greeting). */
static bool greet(struct session *s, struct reply *r, struct why *why)
{
	static const char doing[] = "receiving the initial server greeting";
	if (!session_reply(s, doing, smtp.params.smtp_helo_timeout, r, why))
		return false;
	if (reply_class(r) == 2)
		return say_hello(s, r, why);
	bool later = reply_class(r) == 4 || smtp.params.smtp_skip_5xx_greeting;
	(void)(later ? why_later : why_never)(why, later ? "4.0.0" : "5.0.0",
	    "host %s refused to talk to me: %s", s->peer, buf_cstr(&r->text));
	why_remote(why, s->host.name, buf_str(&r->text));
	return false;
}

bool session_open(
    const struct host *h, struct str key, struct session **session_r, struct why *why)
{
	struct stream *stream;
	int64_t seconds = smtp.params.smtp_connect_timeout;
	int error = net_connect(&h->address, NULL,
	    seconds > 0 ? deadline_after_seconds(seconds) : deadline_after_seconds(3600),
	    &stream);
	if (error != 0) {
		(void)trouble_connect(why, h, error);
		log_info("%s", buf_cstr(&why->text));
		return false;
	}
	struct session *s = session_new(h, key, stream);
	struct reply reply;
	reply_init(&reply);
	bool good = greet(s, &reply, why);
	reply_free(&reply);
	if (good)
		*session_r = s;
	else
		session_close(s, false);
	return good;
}

static bool is_usable(const struct session *s)
{
	int64_t limit = smtp.params.smtp_connection_reuse_count_limit;
	if (clock_ms() - s->born > smtp.params.smtp_connection_reuse_time_limit * 1000)
		return false;
	return limit == 0 || (int64_t)s->uses < limit;
}

/* A server that said or did something meanwhile is not trusted with more. */
struct session *session_reuse(struct str key)
{
	struct session *s;
	LIST_FOREACH (s, &kept, struct session, link) {
		if (!str_equal(str_of(s->key), key))
			continue;
		list_remove(&s->link);
		if (stream_pending(s->stream, true) == 0 && stream_error(s->stream) == 0)
			return s;
		session_free(s);
		return NULL;
	}
	return NULL;
}

static void say_quit(struct session *s)
{
	struct reply reply;
	struct why why;
	why_init(&why);
	reply_init(&reply);
	session_send(s, "sending QUIT", "QUIT");
	stream_set_deadline(
	    s->stream, deadline_after_seconds(smtp.params.smtp_quit_timeout));
	if (smtp.params.smtp_skip_quit_response) {
		if (stream_flush(s->stream) != 0)
			log_debug("%s: the connection went before QUIT", s->peer);
	} else {
		(void)session_reply(
		    s, "sending QUIT", smtp.params.smtp_quit_timeout, &reply, &why);
	}
	reply_free(&reply);
	why_free(&why);
}

static void sweep(UNUSED void *argument)
{
	struct session *s, *after;
	int64_t next = CLOCK_NEVER;
	LIST_FOREACH_SAFE (s, after, &kept, struct session, link) {
		if (s->idle_until <= clock_ms()) {
			/* Nobody waits for the reply; what fits into the socket is said.
			 */
			static const char quit[] = "QUIT\r\n";
			if (send(stream_fd(s->stream), quit, sizeof(quit) - 1,
				MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
				log_debug("%s: the connection went before QUIT", s->peer);
			session_free(s);
		} else {
			next = deadline_earlier(next, s->idle_until);
		}
	}
	run_timer_set(sweep_timer, next);
}

static void keep_session(struct session *s)
{
	s->idle_until =
	    deadline_after_seconds(smtp.params.smtp_connection_cache_time_limit);
	list_append(&kept, &s->link);
	if (sweep_timer == NULL)
		sweep_timer = run_timer_new(sweep, NULL);
	sweep(NULL);
}

void session_close(struct session *s, bool keep)
{
	if (keep && !s->broken && is_usable(s)) {
		keep_session(s);
		return;
	}
	if (!s->broken)
		say_quit(s);
	session_free(s);
}
