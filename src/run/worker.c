#include "run/worker.h"

#include <pthread.h>
#include <signal.h>

#include "base/clock.h"
#include "base/memory.h"
#include "base/panic.h"
#include "run/schedule.h"

#define THREAD_STACK ((size_t)1 << 20)
#define DISK_THREADS 16
#define PACE_SHARE   8 /* of the usual time, what the last job counts for */

/*
 * One call under way. The loop thread owns it; a worker touches fn, job and link, and
 * only between taking it off the queue and putting it on the done list.
 */
struct work {
	struct list_link link; /* in pool->queue or done.list, under the lock */
	struct run_pool *pool;
	void (*fn)(void *job);
	void *job;
	void (*job_free)(void *job);
	struct fiber *fiber; /* NULL: it left */
	bool taken;          /* by a thread; under the pool's lock */
	bool finished;
};

struct run_pool {
	const char *name;
	unsigned limit;
	size_t waiting; /* the loop thread's */

	pthread_mutex_t lock; /* for all below */
	pthread_cond_t more;
	struct list_link queue;
	pthread_t threads[64];
	unsigned thread_count, idle;
	bool stop;
};

static struct {
	bool inline_only, prepared;
	struct run_pool *disk;
	uv_async_t wake;
	pthread_mutex_t lock; /* for done */
	struct list_link done;
} state = {.lock = PTHREAD_MUTEX_INITIALIZER, .done = LIST_INIT(state.done)};

static void lock(pthread_mutex_t *mutex)
{
	ENSURE(pthread_mutex_lock(mutex) == 0);
}

static void unlock(pthread_mutex_t *mutex)
{
	ENSURE(pthread_mutex_unlock(mutex) == 0);
}

static void finish(struct work *work)
{
	bool first;

	lock(&state.lock);
	first = list_empty(&state.done);
	list_append(&state.done, &work->link);
	unlock(&state.lock);
	if (first)
		(void)uv_async_send(&state.wake);
}

static void *thread_main(void *argument)
{
	struct run_pool *p = argument;

	lock(&p->lock);
	for (;;) {
		struct work *work = LIST_FIRST(&p->queue, struct work, link);
		if (work != NULL) {
			list_remove(&work->link);
			work->taken = true;
			unlock(&p->lock);
			work->fn(work->job);
			finish(work);
			lock(&p->lock);
		} else if (p->stop) {
			break;
		} else {
			p->idle++;
			ENSURE(pthread_cond_wait(&p->more, &p->lock) == 0);
			p->idle--;
		}
	}
	unlock(&p->lock);
	return NULL;
}

/* Signals are for the loop thread. False when no thread can be had. */
static bool start_thread(struct run_pool *p)
{
	sigset_t all, before;
	pthread_attr_t attributes;
	bool ok;

	(void)sigfillset(&all);
	ENSURE(pthread_attr_init(&attributes) == 0);
	(void)pthread_attr_setstacksize(&attributes, THREAD_STACK);
	ENSURE(pthread_sigmask(SIG_SETMASK, &all, &before) == 0);
	ok = pthread_create(&p->threads[p->thread_count], &attributes, thread_main, p) ==
	    0;
	ENSURE(pthread_sigmask(SIG_SETMASK, &before, NULL) == 0);
	(void)pthread_attr_destroy(&attributes);
	if (ok)
		p->thread_count++;
	return ok;
}

static void settle(struct work *work)
{
	run_count_source(-1);
	work->pool->waiting--;
	work->finished = true;
	if (work->fiber != NULL) {
		fiber_wake(work->fiber); /* which frees it */
		return;
	}
	work->job_free(work->job);
	free(work);
}

static void on_done(UNUSED uv_async_t *wake)
{
	for (;;) {
		struct work *work;

		lock(&state.lock);
		work = LIST_FIRST(&state.done, struct work, link);
		if (work != NULL)
			list_remove(&work->link);
		unlock(&state.lock);
		if (work == NULL)
			return;
		settle(work);
	}
}

static void prepare(void)
{
	if (state.prepared)
		return;
	state.prepared = true;
	run_uv_check("uv_async_init", uv_async_init(run_uv(), &state.wake, on_done));
}

struct run_pool *run_pool_new(const char *name, unsigned threads)
{
	struct run_pool *p = memory_alloc(sizeof(*p));

	ENSURE(threads >= 1 && threads <= ARRAY_SIZE(p->threads));
	p->name = name;
	p->limit = threads;
	list_init(&p->queue);
	ENSURE(pthread_mutex_init(&p->lock, NULL) == 0);
	ENSURE(pthread_cond_init(&p->more, NULL) == 0);
	return p;
}

void run_pool_free(struct run_pool *p)
{
	if (p == NULL)
		return;
	lock(&p->lock);
	p->stop = true;
	ENSURE(pthread_cond_broadcast(&p->more) == 0);
	unlock(&p->lock);
	for (unsigned i = 0; i < p->thread_count; i++)
		ENSURE(pthread_join(p->threads[i], NULL) == 0);
	on_done(NULL);
	ENSURE(p->waiting == 0);
	(void)pthread_cond_destroy(&p->more);
	(void)pthread_mutex_destroy(&p->lock);
	free(p);
}

/* False when there is no thread that could ever take it. */
static bool submit(struct run_pool *p, struct work *work)
{
	bool ok = true;

	lock(&p->lock);
	if (p->idle == 0 && p->thread_count < p->limit)
		ok = start_thread(p) || p->thread_count > 0;
	if (ok)
		list_append(&p->queue, &work->link);
	unlock(&p->lock);
	/* Not before: whom it wakes wants the lock. */
	if (ok)
		ENSURE(pthread_cond_signal(&p->more) == 0);
	return ok;
}

/* At the deadline: a job that no thread has taken yet is taken back. */
static bool withdraw(struct work *work)
{
	struct run_pool *p = work->pool;
	bool ok;

	lock(&p->lock);
	ok = !work->taken;
	if (ok)
		list_remove(&work->link);
	unlock(&p->lock);
	return ok;
}

enum run_result run_elsewhere(struct run_pool *p, void (*fn)(void *job), void *job,
    void (*job_free)(void *job), int64_t deadline)
{
	struct work *work;

	if (state.inline_only || fiber_self() == NULL) {
		fn(job);
		return RUN_DONE;
	}
	prepare();
	work = memory_alloc(sizeof(*work));
	*work = (struct work){
	    .pool = p, .fn = fn, .job = job, .job_free = job_free, .fiber = fiber_self()};
	if (!submit(p, work)) {
		fn(job);
		free(work);
		return RUN_DONE;
	}
	p->waiting++;
	run_count_source(1);
	while (!work->finished && fiber_sleep_until(deadline) != FIBER_TIMEOUT)
		continue;
	if (work->finished) {
		free(work);
		return RUN_DONE;
	}
	work->fiber = NULL;
	if (withdraw(work))
		settle(work);
	return RUN_LATE;
}

/* --- work on the disk --- */

struct disk_job {
	void (*fn)(void *job);
	void *job;
	int64_t took_us;
};

static void do_disk_job(void *argument)
{
	struct disk_job *d = argument;
	int64_t start = clock_us();

	d->fn(d->job);
	d->took_us = clock_us() - start;
}

/* It lives on the stack of who waits. */
static void keep_job(UNUSED void *job)
{
}

void run_disk(struct run_pace *pace, void (*fn)(void *job), void *job)
{
	struct disk_job d = {.fn = fn, .job = job};

	if (state.disk == NULL)
		state.disk = run_pool_new("disk", DISK_THREADS);
	if (pace != NULL && pace->usual_us < RUN_QUICK_US)
		do_disk_job(&d);
	else
		ENSURE(run_elsewhere(state.disk, do_disk_job, &d, keep_job,
			   CLOCK_NEVER) == RUN_DONE);
	if (pace != NULL)
		pace->usual_us += (d.took_us - pace->usual_us) / PACE_SHARE;
}

void run_inline_only(void)
{
	state.inline_only = true;
}

size_t run_pool_waiting(const struct run_pool *p)
{
	return p->waiting;
}
