#include "dns/lookup.h"

/* Half of all ids: a free one is found quickly. */
#define MOST_UNDER_WAY 32768

#include "base/memory.h"
#include "base/panic.h"
#include "base/random.h"
#include "dns/channel.h"
#include "run/fiber.h"

/* One question under way. Lives until c-ares has called back, which may be after the
 * fiber left at its deadline. */
struct lookup {
	struct fiber *fiber; /* NULL: it left */
	uint16_t id;
	bool done;
	bool answered;
	struct buf packet;
};

/* Ids under way: an answer to one question must not fit another. */
static uint8_t ids_taken[65536 / 8];
static unsigned ids_taken_count;

static uint16_t take_id(void)
{
	uint16_t id;

	do {
		id = (uint16_t)random_below(65536);
	} while ((ids_taken[id / 8] & 1U << id % 8) != 0);
	ids_taken[id / 8] |= (uint8_t)(1U << id % 8);
	ids_taken_count++;
	return id;
}

static void give_id_back(uint16_t id)
{
	ids_taken[id / 8] &= (uint8_t) ~(1U << id % 8);
	ids_taken_count--;
}

static void lookup_free(struct lookup *l)
{
	give_id_back(l->id);
	buf_free(&l->packet);
	free(l);
}

static void on_answer(void *argument, bool answered, struct str packet)
{
	struct lookup *l = argument;

	if (l->fiber == NULL) {
		lookup_free(l);
		return;
	}
	l->done = true;
	l->answered = answered;
	buf_add_str(&l->packet, packet);
	fiber_wake(l->fiber);
}

static struct lookup *lookup_new(void)
{
	struct lookup *l = memory_alloc(sizeof(*l));

	ENSURE(fiber_self() != NULL);
	l->fiber = fiber_self();
	l->id = take_id();
	l->packet = BUF_INIT(65535);
	return l;
}

int dns_open(const char *servers)
{
	return dns_channel_open(servers);
}

const char *dns_search_domain(size_t index)
{
	return dns_channel_search_domain(index);
}

void dns_close(void)
{
	dns_channel_close();
}

struct dns_answer dns_lookup(
    struct str name, enum dns_type type, struct arena *arena, int64_t deadline)
{
	struct dns_answer answer = {.status = DNS_TRY_LATER};
	CLEANUP(buf_free) struct buf query = BUF_INIT(512);
	struct lookup *l;

	if (ids_taken_count >= MOST_UNDER_WAY)
		return answer;
	l = lookup_new();
	if (!dns_query_write(&query, l->id, name, type)) {
		lookup_free(l);
		answer.status = DNS_BAD_NAME;
		return answer;
	}
	dns_channel_send(buf_str(&query), on_answer, l);
	while (!l->done && fiber_sleep_until(deadline) != FIBER_TIMEOUT)
		continue;
	if (!l->done) {
		l->fiber = NULL;
		return answer;
	}
	if (l->answered)
		answer = dns_answer_read(buf_str(&l->packet), l->id, name, type, arena);
	lookup_free(l);
	return answer;
}

const char *dns_status_text(enum dns_status status)
{
	switch (status) {
	case DNS_FOUND:
		return "Success";
	case DNS_NO_DATA:
		return "Host found but no data record of requested type";
	case DNS_NO_NAME:
		return "Host not found";
	case DNS_TRY_LATER:
		return "Host not found, try again";
	case DNS_MALFORMED:
		return "Malformed or unexpected name server reply";
	case DNS_BAD_NAME:
		return "Invalid host or domain name";
	case DNS_FILTERED:
		return "DNS reply filter drops all results";
	case DNS_FILTER_BROKEN:
		return "Invalid DNS reply filter syntax";
	}
	return "Unknown error";
}
