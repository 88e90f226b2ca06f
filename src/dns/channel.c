#include "dns/channel.h"

#include <ares.h>
#include <errno.h>

#include "base/clock.h"
#include "base/list.h"
#include "base/memory.h"
#include "base/panic.h"
#include "run/loop.h"
#include "run/wait.h"

#define QUERIES_PER_CHANNEL 100
#define FIRST_TIMEOUT_MS    3000 /* doubles with each try */
#define TRIES               3
#define UDP_SIZE            1232
#define HEADER_SIZE         12
#define RCODE_FORMERR       1

struct channel {
	ares_channel ares;
	struct list_link link; /* in all */
	struct list_link sockets;
	struct run_timer *timer;
	unsigned sent, under_way;
	bool worn, in_ares;
};

struct socket {
	struct list_link link;
	struct channel *channel;
	int fd;
	struct run_watch *watch;
};

struct question {
	struct channel *channel;
	void (*callback)(void *argument, bool answered, struct str packet);
	void *argument;
};

static struct {
	struct channel *current;
	struct list_link all;
	struct ares_addr_port_node *servers;
	struct ares_options saved; /* for its search domains */
	int saved_mask;            /* 0: nothing is saved */
} state = {.all = LIST_INIT(state.all)};

static void channel_free(struct channel *c)
{
	c->in_ares = true;
	ares_destroy(c->ares);
	ENSURE(list_empty(&c->sockets));
	run_timer_free(c->timer);
	list_remove(&c->link);
	free(c);
}

/* After each call into c-ares: the next timeout, and the end of a channel that is done.
 */
static void settle(struct channel *c)
{
	struct timeval room, *left = ares_timeout(c->ares, NULL, &room);

	if (c->under_way == 0 && c != state.current) {
		channel_free(c);
		return;
	}
	run_timer_set(c->timer,
	    left == NULL ? CLOCK_NEVER
			 : deadline_after_ms((int64_t)left->tv_sec * 1000 +
			       (left->tv_usec + 999) / 1000));
}

static void process(struct channel *c, int readable, int writable)
{
	c->in_ares = true;
	ares_process_fd(c->ares, readable, writable);
	c->in_ares = false;
	settle(c);
}

static void on_timeout(void *argument)
{
	process(argument, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
}

static void on_readable(void *argument)
{
	struct socket *s = argument;

	process(s->channel, s->fd, ARES_SOCKET_BAD);
}

static void on_writable(void *argument)
{
	struct socket *s = argument;

	process(s->channel, ARES_SOCKET_BAD, s->fd);
}

static struct socket *socket_of(struct channel *c, int fd)
{
	struct socket *s;

	LIST_FOREACH (s, &c->sockets, struct socket, link)
		if (s->fd == fd)
			return s;
	s = memory_alloc(sizeof(*s));
	s->channel = c;
	s->fd = fd;
	s->watch = run_watch_new(fd);
	list_append(&c->sockets, &s->link);
	return s;
}

/* c-ares says what it waits for; neither means that it is about to close the socket. */
static void on_socket_state(void *argument, int fd, int readable, int writable)
{
	struct socket *s = socket_of(argument, fd);

	if (!readable && !writable) {
		list_remove(&s->link);
		run_watch_free(s->watch);
		free(s);
		return;
	}
	run_watch_on_readable(s->watch, readable ? on_readable : NULL, s);
	run_watch_on_writable(s->watch, writable ? on_writable : NULL, s);
}

static int errno_of(int status)
{
	return status == ARES_ENOMEM ? -ENOMEM : -EIO;
}

/* NOCHECKRESP: we read the response code ourselves. */
static int channel_new(struct channel **channel_r)
{
	struct channel *c = memory_alloc(sizeof(*c));
	struct ares_options options = {
	    .flags = ARES_FLAG_EDNS | ARES_FLAG_NOCHECKRESP | ARES_FLAG_NOSEARCH,
	    .timeout = FIRST_TIMEOUT_MS,
	    .tries = TRIES,
	    .ednspsz = UDP_SIZE,
	    .sock_state_cb = on_socket_state,
	    .sock_state_cb_data = c,
	};
	int status = ares_init_options(&c->ares, &options,
	    ARES_OPT_FLAGS | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_EDNSPSZ |
		ARES_OPT_SOCK_STATE_CB);

	if (status != ARES_SUCCESS) {
		free(c);
		return errno_of(status);
	}
	list_init(&c->sockets);
	c->timer = run_timer_new(on_timeout, c);
	list_append(&state.all, &c->link);
	*channel_r = c;
	return 0;
}

int dns_channel_open(const char *servers)
{
	int result, status = ares_library_init(ARES_LIB_INIT_ALL);

	ENSURE(state.current == NULL);
	if (status != ARES_SUCCESS)
		return errno_of(status);
	result = channel_new(&state.current);
	if (result != 0)
		return result;
	if (servers != NULL)
		status = ares_set_servers_ports_csv(state.current->ares, servers);
	/* Kept, because a later channel may be made where there is no resolv.conf. */
	if (status == ARES_SUCCESS)
		status = ares_get_servers_ports(state.current->ares, &state.servers);
	if (status == ARES_SUCCESS)
		status = ares_save_options(
		    state.current->ares, &state.saved, &state.saved_mask);
	if (status == ARES_SUCCESS)
		return 0;
	dns_channel_close();
	return errno_of(status);
}

const char *dns_channel_search_domain(size_t index)
{
	if ((state.saved_mask & ARES_OPT_DOMAINS) == 0 ||
	    index >= (size_t)state.saved.ndomains)
		return NULL;
	return state.saved.domains[index];
}

void dns_channel_close(void)
{
	struct channel *c, *after;

	state.current = NULL;
	LIST_FOREACH_SAFE (c, after, &state.all, struct channel, link)
		channel_free(c);
	if (state.servers != NULL)
		ares_free_data(state.servers);
	state.servers = NULL;
	if (state.saved_mask != 0)
		ares_destroy_options(&state.saved);
	state.saved_mask = 0;
	ares_library_cleanup();
}

/* When no new channel can be had, the old one must do. */
static void renew(void)
{
	struct channel *old = state.current, *fresh;

	if (!old->worn && old->sent < QUERIES_PER_CHANNEL)
		return;
	if (channel_new(&fresh) != 0)
		return;
	if (ares_set_servers_ports(fresh->ares, state.servers) != ARES_SUCCESS) {
		channel_free(fresh);
		return;
	}
	state.current = fresh;
	if (old->under_way == 0)
		channel_free(old);
}

/* After FORMERR c-ares asks again without EDNS, and never uses it again. */
static bool shows_no_edns(struct str packet)
{
	return packet.len >= HEADER_SIZE &&
	    ((packet.p[3] & 0xF) == RCODE_FORMERR ||
		(packet.p[10] == 0 && packet.p[11] == 0));
}

static void on_answer(
    void *argument, int status, UNUSED int timeouts, unsigned char *bytes, int len)
{
	struct question q = *(struct question *)argument;
	bool answered = status == ARES_SUCCESS && bytes != NULL && len > 0;
	struct str packet =
	    answered ? (struct str){(const char *)bytes, (size_t)len} : STR_EMPTY;

	free(argument);
	q.channel->under_way--;
	if (answered && shows_no_edns(packet))
		q.channel->worn = true;
	q.callback(q.argument, answered, packet);
}

void dns_channel_send(struct str query,
    void (*callback)(void *argument, bool answered, struct str packet), void *argument)
{
	struct question *q = memory_alloc(sizeof(*q));
	struct channel *c;

	ENSURE(state.current != NULL && !state.current->in_ares);
	renew();
	c = state.current;
	*q = (struct question){c, callback, argument};
	c->sent++;
	c->under_way++;
	c->in_ares = true;
	ares_send(c->ares, (const unsigned char *)query.p, (int)query.len, on_answer, q);
	c->in_ares = false;
	settle(c);
}
