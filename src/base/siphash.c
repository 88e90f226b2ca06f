#include "base/siphash.h"

#include <endian.h>

struct state {
	uint64_t v0, v1, v2, v3;
};

static uint64_t rotate(uint64_t value, unsigned bits)
{
	return (value << bits) | (value >> (64 - bits));
}

static inline void mix(struct state *s)
{
	s->v0 += s->v1;
	s->v1 = rotate(s->v1, 13) ^ s->v0;
	s->v0 = rotate(s->v0, 32);
	s->v2 += s->v3;
	s->v3 = rotate(s->v3, 16) ^ s->v2;
	s->v0 += s->v3;
	s->v3 = rotate(s->v3, 21) ^ s->v0;
	s->v2 += s->v1;
	s->v1 = rotate(s->v1, 17) ^ s->v2;
	s->v2 = rotate(s->v2, 32);
}

static uint64_t eight_bytes(const char *p)
{
	uint64_t value;

	memcpy(&value, p, sizeof(value));
	return le64toh(value);
}

/* What is left from there, less than 8 bytes; `s` may be empty, without a pointer. */
static uint64_t rest(struct str s, size_t at)
{
	uint64_t value = 0;

	for (size_t i = 0; at + i < s.len; i++)
		value |= (uint64_t)(unsigned char)s.p[at + i] << (8 * i);
	return value;
}

uint64_t siphash(const uint64_t key[2], struct str s)
{
	struct state t = {key[0] ^ 0x736f6d6570736575U, key[1] ^ 0x646f72616e646f6dU,
	    key[0] ^ 0x6c7967656e657261U, key[1] ^ 0x7465646279746573U};
	uint64_t last = (uint64_t)s.len << 56;
	size_t at = 0;

	for (; at + 8 <= s.len; at += 8) {
		uint64_t word = eight_bytes(s.p + at);
		t.v3 ^= word;
		mix(&t);
		t.v0 ^= word;
	}
	last |= rest(s, at);
	t.v3 ^= last;
	mix(&t);
	t.v0 ^= last;
	t.v2 ^= 0xff;
	for (int i = 0; i < 3; i++)
		mix(&t);
	return t.v0 ^ t.v1 ^ t.v2 ^ t.v3;
}
