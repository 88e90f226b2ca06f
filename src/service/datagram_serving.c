/* Services of unix-dgram rows: each datagram is a client that is over at once. */
#include "service/service_private.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/memory.h"
#include "run/wait.h"

#define MOST_A_TURN 100 /* so that a flood keeps neither signals nor the log waiting */

static struct {
	int first, count;
	struct run_watch *watches[MASTER_LISTENERS_MAX];
	char *room; /* one byte more than the longest, which shows what is too long */
	bool retired;
} dgram;

/* False: none waits. */
static bool take_one(int fd)
{
	size_t most = service_state.service->datagram_max;
	ssize_t got = recv(fd, dgram.room, most + 1, MSG_DONTWAIT);
	if (got < 0)
		return errno == EINTR;
	lifetime_client_began();
	service_state.service->datagram((struct str){dgram.room, (size_t)got});
	lifetime_client_ended();
	return true;
}

static void readable(void *argument)
{
	int fd = dgram.first + (int)(uintptr_t)argument;
	if (!lifetime_may_take())
		return;
	for (unsigned i = 0; i < MOST_A_TURN && !dgram.retired; i++)
		if (!take_one(fd))
			return;
}

static void retire(void)
{
	dgram.retired = true;
	for (int i = 0; i < dgram.count; i++) {
		run_watch_free(dgram.watches[i]);
		(void)close(dgram.first + i);
	}
}

static void no_limit(UNUSED uint32_t limit)
{
}

static size_t left(void)
{
	return 0;
}

void datagram_serving_start(int first, int count)
{
	static const struct lifetime_hooks hooks = {
	    .retire = retire,
	    .set_limit = no_limit,
	    .open = left,
	};
	dgram.first = first;
	dgram.count = count;
	dgram.room = memory_alloc(service_state.service->datagram_max + 1);
	for (int i = 0; i < count; i++) {
		dgram.watches[i] = run_watch_new(first + i);
		run_watch_on_readable(dgram.watches[i], readable, (void *)(uintptr_t)i);
	}
	lifetime_start(&hooks);
}
