/*
 * Connections kept for the next message: found by next hop, or by the server's address.
 * They stay in this process; another process of the service makes its own.
 */
#include "base/clock.h"
#include "base/log.h"
#include "run/loop.h"
#include "smtp/smtp.h"
#include "table/match_list.h"

static struct list_link kept = LIST_INIT(kept);
static struct run_timer *sweep_timer;
static struct match_list *always; /* smtp_connection_cache_destinations */

void session_cache_before_jail(void)
{
	if (smtp.params.smtp_connection_cache_destinations[0] != '\0')
		always = match_list_open("smtp_connection_cache_destinations",
		    smtp.params.smtp_connection_cache_destinations, MATCH_STRINGS, 0);
}

bool session_wants_cache(const struct delivery *d, const struct destination *destination)
{
	if (smtp.params.smtp_connection_cache_on_demand &&
	    (d->request.flags & DELIVERY_KEEP_CONNECTION) != 0)
		return true;
	return always != NULL && destination->name.len > 0 &&
	    match_list_string(always, destination->name) == TABLE_FOUND;
}

static bool is_usable(const struct session *s)
{
	int64_t limit = smtp.params.smtp_connection_reuse_count_limit;
	if (clock_ms() - s->born > smtp.params.smtp_connection_reuse_time_limit * 1000)
		return false;
	return limit == 0 || (int64_t)s->uses < limit;
}

static bool is_for(const struct session *s, struct str key, const struct host *h)
{
	if (h == NULL)
		return str_equal(str_of(s->key), key);
	return net_address_equal_host(&s->host.address, &h->address) &&
	    net_address_port(&s->host.address) == net_address_port(&h->address);
}

/* A server that said or did something meanwhile is not trusted with more. */
struct session *session_reuse(struct str key, const struct host *h)
{
	struct session *s, *after;
	LIST_FOREACH_SAFE (s, after, &kept, struct session, link) {
		if (!is_for(s, key, h))
			continue;
		list_remove(&s->link);
		if (!stream_is_quiet(s->stream)) {
			session_free(s);
			continue;
		}
		if (h != NULL)
			session_identify(s, h, key);
		return s;
	}
	return NULL;
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

bool session_keep(struct session *s)
{
	int64_t limit = smtp.params.smtp_connection_cache_time_limit;
	int64_t most = smtp.params.connection_cache_ttl_limit;
	if (s->broken || s->closing || !is_usable(s))
		return false;
	s->idle_until = deadline_after_seconds(limit < most ? limit : most);
	list_append(&kept, &s->link);
	if (sweep_timer == NULL)
		sweep_timer = run_timer_new(sweep, NULL);
	sweep(NULL);
	return true;
}
