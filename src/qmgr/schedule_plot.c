/*
 * Numbers for a plot (bench/schedule.py): a list of 20,000 recipients in twenty domains,
 * one of which is dead, and a message of one recipient every 0.23 seconds. Lines of
 * "series milliseconds value".
 */
#include <stdio.h>
#include "qmgr/schedule_world.h"

#define LIST     20000
#define DOMAINS  20
#define SINGLES  30
#define EVERY_MS 230
#define STEP_MS  20

static struct world *make(int64_t slot_cost, int64_t places)
{
	struct schedule_limits limits = WORLD_LIMITS;
	limits.slot_cost = slot_cost;
	limits.under_way = places;
	struct world *w = world_new(&limits, DOMAINS);
	world_break(w, 0);
	world_message(w, 0, LIST, 0, DOMAINS);
	for (int i = 0; i < SINGLES; i++)
		world_message(w, (int64_t)i * EVERY_MS, 1, 1 + (size_t)i % 3, 1);
	return w;
}

static void windows(int64_t places)
{
	struct world *w = make(5, places);
	for (int64_t now = 0; !world_until(w, now); now += STEP_MS) {
		printf("under_way %lld %lld\n", (long long)now,
		    (long long)world_under_way(w));
		printf(
		    "window %lld %lld\n", (long long)now, (long long)world_window(w, 1));
		printf("dead %lld %lld\n", (long long)now, (long long)world_window(w, 0));
	}
	world_free(w);
}

static void waits(const char *name, int64_t slot_cost, int64_t places)
{
	struct world *w = make(slot_cost, places);
	world_run(w, INT64_C(1) << 40);
	for (size_t i = 1; i <= SINGLES; i++) {
		int64_t at = (int64_t)(i - 1) * EVERY_MS;
		printf("%s %lld %lld\n", name, (long long)at,
		    (long long)(world_started(w, i) - at));
	}
	world_free(w);
}

int main(void)
{
	const int64_t places = 300;
	windows(places);
	waits("overtaking", 5, places);
	waits("in_turn", 0, places);
	return 0;
}
