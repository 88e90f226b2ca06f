#include "base/random.h"

#include <errno.h>
#include <pthread.h>
#include <sys/random.h>

#include "base/panic.h"

/* Per thread, so that a worker may ask too; dropped in a child, so that no two processes
 * give the same numbers. */
static _Thread_local struct {
	unsigned char bytes[256];
	size_t left;
} stock;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void from_kernel(unsigned char *out, size_t len)
{
	while (len > 0) {
		ssize_t got = getrandom(out, len, 0);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			panic("getrandom: %s", strerror(errno));
		out += got;
		len -= (size_t)got;
	}
}

static void forget(void)
{
	stock.left = 0;
}

static void forget_in_child(void)
{
	ENSURE(pthread_atfork(NULL, NULL, forget) == 0);
}

void random_bytes(void *out, size_t len)
{
	if (len > sizeof(stock.bytes) / 4) {
		from_kernel(out, len);
		return;
	}
	if (len > stock.left) {
		(void)pthread_once(&once, forget_in_child);
		from_kernel(stock.bytes, sizeof(stock.bytes));
		stock.left = sizeof(stock.bytes);
	}
	stock.left -= len;
	memcpy(out, stock.bytes + stock.left, len);
	/* What was given out is not kept, so that a core file does not show it. */
	explicit_bzero(stock.bytes + stock.left, len);
}

uint32_t random_u32(void)
{
	uint32_t value;

	random_bytes(&value, sizeof(value));
	return value;
}

uint32_t random_below(uint32_t bound)
{
	uint32_t skip, value;

	ENSURE(bound > 0);
	/* Values below 2^32 mod bound would make small results likelier. */
	skip = (uint32_t)(0 - bound) % bound;
	do {
		value = random_u32();
	} while (value < skip);
	return value % bound;
}
