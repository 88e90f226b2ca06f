#include "base/map.h"

#include "base/memory.h"
#include "base/panic.h"
#include "base/random.h"
#include "base/siphash.h"

#define FIRST_SLOTS ((size_t)16)

/*
 * Entries lie in an array in the order in which they came; `slots` finds them by hash
 * (open addressing, 0 = empty, else index + 1). A removed entry keeps its place, without
 * value and key, until the next rebuild.
 */
struct entry {
	uint64_t hash;
	char *key;
	size_t len;
	void *value;
};

struct map {
	uint64_t secret[2];
	struct entry *entries;
	uint32_t *slots;
	size_t slot_count; /* a power of two */
	size_t used;       /* entries, with removed ones */
	size_t live;
};

struct map *map_new(void)
{
	struct map *m = memory_alloc(sizeof(*m));

	random_bytes(m->secret, sizeof(m->secret));
	return m;
}

void map_free(struct map *m)
{
	if (m == NULL)
		return;
	for (size_t i = 0; i < m->used; i++)
		free(m->entries[i].key);
	free(m->entries);
	free(m->slots);
	free(m);
}

size_t map_count(const struct map *m)
{
	return m->live;
}

static size_t entry_limit(size_t slot_count)
{
	return slot_count / 4 * 3;
}

static struct entry *find(const struct map *m, struct str key, uint64_t hash)
{
	size_t mask = m->slot_count - 1;

	if (m->live == 0)
		return NULL;
	for (size_t at = hash & mask; m->slots[at] != 0; at = (at + 1) & mask) {
		struct entry *e = &m->entries[m->slots[at] - 1];
		if (e->hash == hash && e->value != NULL &&
		    str_equal((struct str){e->key, e->len}, key))
			return e;
	}
	return NULL;
}

static void put_slot(struct map *m, uint64_t hash, size_t index)
{
	size_t mask = m->slot_count - 1, at = hash & mask;

	while (m->slots[at] != 0)
		at = (at + 1) & mask;
	m->slots[at] = (uint32_t)(index + 1);
}

/* New arrays without the removed entries, with room for as many again. */
static void rebuild(struct map *m)
{
	size_t slot_count = FIRST_SLOTS, kept = 0;
	struct entry *entries;

	while (entry_limit(slot_count) / 2 < m->live)
		slot_count *= 2;
	ENSURE(slot_count <= UINT32_MAX);
	entries = memory_alloc_array(entry_limit(slot_count), sizeof(*entries));
	free(m->slots);
	m->slots = memory_alloc_array(slot_count, sizeof(m->slots[0]));
	m->slot_count = slot_count;
	for (size_t i = 0; i < m->used; i++) {
		if (m->entries[i].value == NULL)
			continue;
		entries[kept] = m->entries[i];
		put_slot(m, entries[kept].hash, kept);
		kept++;
	}
	free(m->entries);
	m->entries = entries;
	m->used = kept;
}

void *map_get(const struct map *m, struct str key)
{
	struct entry *e = find(m, key, siphash(m->secret, key));

	return e == NULL ? NULL : e->value;
}

void *map_set(struct map *m, struct str key, void *value)
{
	uint64_t hash = siphash(m->secret, key);
	struct entry *e = find(m, key, hash);
	void *old;

	ENSURE(value != NULL);
	if (e != NULL) {
		old = e->value;
		e->value = value;
		return old;
	}
	if (m->slots == NULL || m->used == entry_limit(m->slot_count))
		rebuild(m);
	e = &m->entries[m->used];
	*e = (struct entry){hash, memory_alloc(key.len), key.len, value};
	if (key.len > 0)
		memcpy(e->key, key.p, key.len);
	put_slot(m, hash, m->used);
	m->used++;
	m->live++;
	return NULL;
}

void *map_remove(struct map *m, struct str key)
{
	struct entry *e = find(m, key, siphash(m->secret, key));
	void *value;

	if (e == NULL)
		return NULL;
	value = e->value;
	e->value = NULL;
	free(e->key);
	e->key = NULL;
	e->len = 0;
	m->live--;
	return value;
}

bool map_next(const struct map *m, size_t *at, struct str *key_r, void **value_r)
{
	while (*at < m->used) {
		const struct entry *e = &m->entries[(*at)++];
		if (e->value == NULL)
			continue;
		*key_r = (struct str){e->key, e->len};
		*value_r = e->value;
		return true;
	}
	return false;
}
