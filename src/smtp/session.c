/* A connection to a server: made, spoken over, ended. */
#include <errno.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "net/connect.h"
#include "smtp/smtp.h"
#include "smtp/source.h"
#include "smtp_wire/reply_reader.h"
#include "table/maps.h"

#define COMMAND_MAX 8190 /* bytes of a command line, without CRLF */

static struct maps *line_filter; /* smtp_reply_filter */

void session_before_jail(void)
{
	line_filter = maps_open("smtp_reply_filter", smtp.params.smtp_reply_filter, 0);
}

static void replace(char **text, const char *fresh)
{
	free(*text);
	*text = memory_copy_cstr(fresh);
}

/* A kept session outlives the delivery that the names belong to. */
void session_identify(struct session *s, const struct host *h, struct str key)
{
	CLEANUP(buf_free) struct buf text = BUF_INIT(2048);
	s->host = *h;
	buf_add_str(&text, h->name);
	replace(&s->name, buf_cstr(&text));
	s->host.name = str_of(s->name);
	buf_clear(&text);
	host_text(&text, h, false);
	replace(&s->peer, buf_cstr(&text));
	buf_clear(&text);
	host_text(&text, h, true);
	replace(&s->relay, buf_cstr(&text));
	buf_clear(&text);
	buf_add_str(&text, key);
	replace(&s->key, buf_cstr(&text));
}

static struct session *session_new(
    const struct host *h, struct str key, struct stream *stream)
{
	struct session *s = memory_alloc(sizeof(*s));
	s->stream = stream;
	s->born = clock_ms();
	list_init(&s->link);
	session_identify(s, h, key);
	return s;
}

void session_send(
    struct session *s, const char *doing, int64_t seconds, struct str command)
{
	s->doing = doing;
	stream_set_deadline(s->stream, deadline_after_seconds(seconds));
	if (command.len > COMMAND_MAX || stream_write_str(s->stream, command) != 0 ||
	    stream_write(s->stream, "\r\n", 2) != 0)
		s->broken = true;
}

/* smtp_reply_filter. Trouble with the tables leaves the line as it is. */
static void filter_line(void *context, struct buf *line)
{
	const struct session *s = context;
	CLEANUP(buf_free) struct buf value = BUF_INIT(REPLY_LINE_MAX);
	struct str text = str_trim(buf_str(line));
	if (maps_lookup(line_filter, text, false, &value) != TABLE_FOUND ||
	    !buf_ok(&value))
		return;
	log_info("%s: replacing server reply \"%.*s\" with \"%s\"", s->relay,
	    STR_ARG(text), buf_cstr(&value));
	buf_clear(line);
	buf_add_str(line, buf_str(&value));
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
		error = reply_read(
		    s->stream, r, maps_empty(line_filter) ? NULL : filter_line, s);
	if (error == 0 && r->code == 421)
		s->closing = true; /* RFC 5321 3.8 */
	if (error == 0)
		return true;
	s->broken = true;
	s->lost = true;
	return trouble_lost(why, s, error);
}

static int64_t connect_deadline(void)
{
	int64_t seconds = smtp.params.smtp_connect_timeout;
	return deadline_after_seconds(seconds > 0 ? seconds : 3600);
}

struct session *session_open(const struct host *h, struct str key,
    const struct delivery *d, bool *reached_r, struct why *why)
{
	struct stream *stream;
	const struct net_address *source;
	int error = 0;
	*reached_r = false;
	bool usable = source_choose(&h->address, &source, why);
	if (usable)
		error = net_connect(&h->address, source, connect_deadline(), &stream);
	if (error != 0)
		(void)trouble_connect(why, h, error);
	if (!usable || error != 0) {
		log_info("%s", buf_cstr(&why->text));
		return NULL;
	}
	*reached_r = true;
	struct session *s = session_new(h, key, stream);
	if (greeting_exchange(s, d, why))
		return s;
	session_close(s, false);
	return NULL;
}

static void say_quit(struct session *s)
{
	struct reply reply;
	struct why why;
	why_init(&why);
	reply_init(&reply);
	session_send(s, "sending QUIT", smtp.params.smtp_quit_timeout, STR("QUIT"));
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

void session_free(struct session *s)
{
	list_remove(&s->link);
	stream_free(s->stream);
	free(s->key);
	free(s->name);
	free(s->relay);
	free(s->peer);
	free(s);
}

void session_close(struct session *s, bool keep)
{
	if (keep && session_keep(s))
		return;
	if (!s->broken)
		say_quit(s);
	session_free(s);
}
