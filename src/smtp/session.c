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
	free(s->name);
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
	/* A kept session outlives the delivery that the name belongs to. */
	s->host = *h;
	buf_add_str(&text, h->name);
	s->name = memory_copy_cstr(buf_cstr(&text));
	s->host.name = str_of(s->name);
	buf_clear(&text);
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

void session_send(
    struct session *s, const char *doing, int64_t seconds, const char *format, ...)
{
	CLEANUP(buf_free) struct buf line = BUF_INIT(8192);
	va_list args;
	va_start(args, format);
	buf_vprintf(&line, format, args);
	va_end(args);
	buf_add_cstr(&line, "\r\n");
	s->doing = doing;
	stream_set_deadline(s->stream, deadline_after_seconds(seconds));
	if (!buf_ok(&line) || stream_write_str(s->stream, buf_str(&line)) != 0)
		s->broken = true;
}

bool session_reply(struct session *s, const char *doing, int64_t seconds, struct reply *r,
    struct why *why)
{
	s->doing = doing;
	stream_set_deadline(s->stream, deadline_after_seconds(seconds));
	int error = stream_flush(s->stream);
	if (error == 0 && s->broken) /* a command did not fit */
		error = -EMSGSIZE;
	if (error == 0)
		error = reply_read(s->stream, r);
	if (error == 0 && r->code == 421)
		s->closing = true; /* RFC 5321 3.8 */
	if (error == 0)
		return true;
	s->broken = true;
	s->lost = true;
	return trouble_lost(why, s, error);
}

static bool is_myself(struct session *s, struct str name, struct why *why)
{
	if (s->host.other_port || smtp.dialect->local_store ||
	    !str_is_nocase(name, service_common()->myhostname))
		return false;
	log_warning("host %s replied to HELO/EHLO with my own hostname %s", s->relay,
	    service_common()->myhostname);
	(void)why_never(why, "5.4.6", "mail for %s loops back to myself", s->key);
	return true;
}

/* A reply to EHLO or HELO that is welcome. */
static bool take_hello(
    struct session *s, const struct reply *r, bool extended, struct why *why)
{
	struct ehlo ehlo;
	ehlo_read(buf_str(&r->lines), &ehlo);
	if (extended) {
		s->capabilities = ehlo.capabilities & ~smtp.discard_keywords;
		s->size_limit = ehlo.size_limit;
	}
	return !is_myself(s, ehlo.name, why);
}

static bool say(struct session *s, const char *verb, const char *doing, struct reply *r,
    struct why *why)
{
	int64_t seconds = smtp.params.smtp_helo_timeout;
	session_send(s, doing, seconds, "%s %s", verb, smtp.params.smtp_helo_name);
	return session_reply(s, doing, seconds, r, why);
}

/* RFC 5321 3.2: a server that refuses EHLO, for whatever reason, may like HELO; LMTP has
 * LHLO alone (RFC 2033 4.1). */
static bool say_hello(struct session *s, struct reply *r, bool extended, struct why *why)
{
	if (extended) {
		if (!say(s, smtp.dialect->hello, smtp.dialect->greeting, r, why))
			return false;
		if (reply_class(r) == 2)
			return take_hello(s, r, true, why);
		if (s->closing || smtp.dialect->local_store)
			return trouble_refused(why, s, r, false);
	}
	if (!say(s, "HELO", "performing the HELO handshake", r, why))
		return false;
	if (reply_class(r) != 2)
		return trouble_refused(why, s, r, false);
	return take_hello(s, r, false, why);
}

static bool wants_ehlo(const struct reply *greeting)
{
	if (smtp.dialect->local_store)
		return true;
	if (smtp.params.smtp_never_send_ehlo)
		return false;
	return smtp.params.smtp_always_send_ehlo ||
	    str_find_str(buf_str(&greeting->text), STR("ESMTP")) >= 0;
}

/* A 5xx greeting concerns this host only (smtp_skip_5xx_greeting). */
static bool greet(struct session *s, struct reply *r, struct why *why)
{
	static const char doing[] = "receiving the initial server greeting";
	if (!session_reply(s, doing, smtp.params.smtp_helo_timeout, r, why))
		return false;
	if (reply_class(r) != 2)
		return trouble_refused(why, s, r, smtp.params.smtp_skip_5xx_greeting);
	return say_hello(s, r, wants_ehlo(r), why);
}

struct session *session_open(
    const struct host *h, struct str key, bool *reached_r, struct why *why)
{
	struct stream *stream;
	int64_t seconds = smtp.params.smtp_connect_timeout;
	int error = net_connect(&h->address, NULL,
	    seconds > 0 ? deadline_after_seconds(seconds) : deadline_after_seconds(3600),
	    &stream);
	*reached_r = error == 0;
	if (error != 0) {
		(void)trouble_connect(why, h, error);
		log_info("%s", buf_cstr(&why->text));
		return NULL;
	}
	struct session *s = session_new(h, key, stream);
	struct reply reply;
	reply_init(&reply);
	bool good = greet(s, &reply, why);
	reply_free(&reply);
	if (good)
		return s;
	session_close(s, false);
	return NULL;
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
	struct session *s, *after;
	LIST_FOREACH_SAFE (s, after, &kept, struct session, link) {
		if (!str_equal(str_of(s->key), key))
			continue;
		list_remove(&s->link);
		if (stream_is_quiet(s->stream))
			return s;
		session_free(s);
	}
	return NULL;
}

static void say_quit(struct session *s)
{
	struct reply reply;
	struct why why;
	why_init(&why);
	reply_init(&reply);
	session_send(s, "sending QUIT", smtp.params.smtp_quit_timeout, "QUIT");
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
	if (keep && !s->broken && !s->closing && is_usable(s)) {
		keep_session(s);
		return;
	}
	if (!s->broken)
		say_quit(s);
	session_free(s);
}
