#include "run/stack.h"

#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/fault.h"
#include "run/annotate.h"
#include "run/stack_resident.h"

#define KEPT_STACKS 512  /* in the pool */
#define KEPT_BYTES  8192 /* of each stack in the pool */
#define LOOK_STEP   32   /* words between those that are looked at */
#define LOOK_EVERY  1024 /* stacks that come back: how often the kernel is asked */

static struct {
	void *free[KEPT_STACKS];
	unsigned count, given_back;
	size_t deepest;
} pool;

static size_t page_size(void)
{
	static size_t size;

	if (size == 0)
		size = (size_t)sysconf(_SC_PAGESIZE);
	return size;
}

size_t stack_size(void)
{
	size_t page = page_size();

	return (annotate_stack_size() + page - 1) & ~(page - 1);
}

void *stack_take(void)
{
	size_t guard = page_size(), size = stack_size();
	char *whole;

	if (pool.count > 0)
		return pool.free[--pool.count];
	if (fault_hit(FAULT_MALLOC) != 0)
		return NULL;
	whole = mmap(NULL, guard + size, PROT_NONE,
	    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
	if (whole == MAP_FAILED)
		return NULL;
	if (mprotect(whole + guard, size, PROT_READ | PROT_WRITE) != 0) {
		(void)munmap(whole, guard + size);
		return NULL;
	}
	return whole + guard;
}

/* Fresh pages are zero: what lies above the first byte that is not has been used. */
__attribute__((no_sanitize("address"))) static size_t depth_from(
    const void *stack, size_t from)
{
	size_t size = stack_size();
	const uint64_t *words = stack;

	while (from < size && words[from / 8] == 0)
		from += 8;
	return size - from;
}

size_t stack_depth(const void *stack)
{
	return depth_from(stack, stack_resident_from(stack, stack_size()));
}

/* Most stacks are used less deep than what is kept anyhow, and show it: the page below is
 * still zero. That is cheaper to see than to ask for; a jump over that page is found by
 * asking now and then: seldom, since looking makes the page resident, and who asks then
 * gives it back, which costs two calls and a fault. */
__attribute__((no_sanitize("address"))) static bool looks_shallow(const void *stack)
{
	const uint64_t *words = stack;
	size_t end = (stack_size() - KEPT_BYTES) / sizeof(*words);

	for (size_t i = end - page_size() / sizeof(*words); i < end; i += LOOK_STEP)
		if (words[i] != 0)
			return false;
	return pool.deepest > 0 && pool.given_back++ % LOOK_EVERY != 0;
}

static void give_memory_back(void *stack)
{
	size_t size = stack_size(), from = stack_resident_from(stack, size);

	/* The scan is needed only when it may find a new record. */
	if (size - from > pool.deepest) {
		size_t depth = depth_from(stack, from);
		if (depth > pool.deepest)
			pool.deepest = depth;
	}
	if (size - from > KEPT_BYTES)
		(void)madvise(
		    (char *)stack + from, size - from - KEPT_BYTES, MADV_DONTNEED);
}

void stack_give_back(void *stack)
{
	if (!looks_shallow(stack))
		give_memory_back(stack);
	if (pool.count == KEPT_STACKS)
		(void)munmap((char *)stack - page_size(), page_size() + stack_size());
	else
		pool.free[pool.count++] = stack;
}

size_t stack_deepest(void)
{
	return pool.deepest;
}
