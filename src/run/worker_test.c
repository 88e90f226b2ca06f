#include "run/worker.h"

#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

#include "base/memory.h"
#include "run/fiber.h"
#include "run/loop.h"
#include "unit.h"

struct job {
	pthread_t thread;
	unsigned nap_us;
	int in, out;
};

static atomic_int runs, frees;
static struct run_pool *pool;

static void work(void *argument)
{
	struct job *job = argument;

	if (job->nap_us > 0)
		(void)usleep(job->nap_us);
	job->thread = pthread_self();
	job->out = job->in * 2;
	atomic_fetch_add(&runs, 1);
}

static void job_free(void *job)
{
	atomic_fetch_add(&frees, 1);
	free(job);
}

static struct job *job_new(int in, unsigned nap_us)
{
	struct job *job = memory_alloc(sizeof(*job));

	job->in = in;
	job->nap_us = nap_us;
	return job;
}

static void reset(void)
{
	run_init();
	atomic_store(&runs, 0);
	atomic_store(&frees, 0);
}

struct outcome {
	enum run_result result;
	int out;
	bool other_thread;
	size_t waiting;
};

static void do_one(void *argument)
{
	struct outcome *o = argument;
	struct job *job = job_new(21, 1000);

	o->result = run_elsewhere(pool, work, job, job_free, CLOCK_NEVER);
	o->out = job->out;
	o->other_thread = !pthread_equal(job->thread, pthread_self());
	job_free(job);
}

TEST(worker_does_the_job_on_another_thread)
{
	struct outcome o = {.result = RUN_LATE};

	reset();
	pool = run_pool_new("test", 2);
	run_main(do_one, &o);
	assert_int_equal(o.result, RUN_DONE);
	assert_int_equal(o.out, 42);
	assert_true(o.other_thread);
	assert_int_equal(atomic_load(&frees), 1);
	assert_int_equal(run_pool_waiting(pool), 0);
	run_pool_free(pool);
}

static void be_late(void *argument)
{
	struct outcome *o = argument;
	enum run_result result;

	do { /* again when a busy machine has not started the thread before the deadline
	      */
		atomic_store(&frees, 0);
		atomic_store(&runs, 0);
		result = run_elsewhere(
		    pool, work, job_new(1, 30000), job_free, deadline_after_ms(5));
	} while (run_pool_waiting(pool) == 0);
	o->result = result;
	o->out = atomic_load(&frees);
	o->waiting = run_pool_waiting(pool);
	while (run_pool_waiting(pool) > 0)
		fiber_sleep_ms(1);
}

TEST(worker_job_that_is_late_frees_itself_exactly_once)
{
	struct outcome o = {.result = RUN_DONE};

	reset();
	pool = run_pool_new("test", 1);
	run_main(be_late, &o);
	assert_int_equal(o.result, RUN_LATE);
	assert_int_equal(o.out, 0);
	assert_int_equal(o.waiting, 1);
	assert_int_equal(atomic_load(&runs), 1);
	assert_int_equal(atomic_load(&frees), 1);
	run_pool_free(pool);
	assert_int_equal(atomic_load(&frees), 1);
}

static void occupy(UNUSED void *argument)
{
	struct job *job = job_new(1, 30000);

	if (run_elsewhere(pool, work, job, job_free, CLOCK_NEVER) == RUN_DONE)
		job_free(job);
}

static void be_late_in_the_queue(void *argument)
{
	struct outcome *o = argument;

	if (fiber_start("occupy", occupy, NULL) != 0)
		return;
	fiber_yield();
	o->result =
	    run_elsewhere(pool, work, job_new(1, 0), job_free, deadline_after_ms(5));
	o->out = atomic_load(&frees);
	while (fiber_count() > 1)
		fiber_sleep_ms(1);
}

TEST(worker_job_still_queued_at_its_deadline_is_taken_back)
{
	struct outcome o = {.result = RUN_DONE};

	reset();
	pool = run_pool_new("test", 1);
	run_main(be_late_in_the_queue, &o);
	assert_int_equal(o.result, RUN_LATE);
	assert_int_equal(o.out, 1);
	assert_int_equal(atomic_load(&runs), 1);
	assert_int_equal(atomic_load(&frees), 2);
	run_pool_free(pool);
}

TEST(worker_pool_that_is_freed_waits_for_late_jobs)
{
	struct outcome o = {.result = RUN_DONE};

	reset();
	pool = run_pool_new("test", 1);
	assert_int_equal(fiber_start("late", be_late, &o), 0);
	while (o.result == RUN_DONE) {
		run_soon((void (*)(void *))run_stop, NULL);
		run_loop();
	}
	run_pool_free(pool);
	assert_int_equal(atomic_load(&runs), 1);
	assert_int_equal(atomic_load(&frees), 1);
	pool = run_pool_new("other", 1);
	run_loop();
	run_pool_free(pool);
}

static void do_many(UNUSED void *argument)
{
	for (int i = 0; i < 20; i++) {
		struct job *job = job_new(i, 0);
		if (run_elsewhere(pool, work, job, job_free, CLOCK_NEVER) == RUN_DONE)
			job_free(job);
	}
}

static void start_many(UNUSED void *argument)
{
	for (int i = 0; i < 50; i++)
		if (fiber_start("many", do_many, NULL) != 0)
			return;
	while (fiber_count() > 1)
		fiber_sleep_ms(1);
}

TEST(worker_pool_serves_many_fibers)
{
	reset();
	pool = run_pool_new("test", 16);
	run_main(start_many, NULL);
	assert_int_equal(atomic_load(&runs), 1000);
	assert_int_equal(atomic_load(&frees), 1000);
	run_pool_free(pool);
}

/* How often another thread did a disk job that takes so long. */
static int count_elsewhere(struct run_pace *pace, unsigned nap_us, int times)
{
	int elsewhere = 0;

	for (int i = 0; i < times; i++) {
		struct job job = {.nap_us = nap_us};
		run_disk(pace, work, &job);
		elsewhere += !pthread_equal(job.thread, pthread_self());
	}
	return elsewhere;
}

static void keep_pace(void *argument)
{
	int *elsewhere = argument;
	struct run_pace pace = {.usual_us = 0};

	elsewhere[0] = count_elsewhere(&pace, 0, 1);
	elsewhere[1] = count_elsewhere(&pace, 20 * RUN_QUICK_US, 4);
	elsewhere[2] = count_elsewhere(&pace, 0, 1000);
	elsewhere[3] = count_elsewhere(NULL, 0, 4);
}

TEST(worker_disk_work_is_handed_over_while_it_is_slow)
{
	int elsewhere[4];

	reset();
	run_main(keep_pace, elsewhere);
	assert_int_equal(elsewhere[0], 0);
	assert_int_equal(elsewhere[1], 3);
	assert_in_range(elsewhere[2], 1, 500);
	assert_int_equal(elsewhere[3], 4);
}

static void be_inline(UNUSED void *argument)
{
	struct outcome o = {.result = RUN_LATE};

	run_init();
	run_inline_only();
	pool = run_pool_new("test", 1);
	run_main(do_one, &o);
	_exit(o.result == RUN_DONE && o.out == 42 && !o.other_thread ? 0 : 1);
}

TEST(worker_process_without_threads_works_inline)
{
	CLEANUP(buf_free) struct buf output = BUF_INIT(10000);
	struct job *job = job_new(4, 0);

	assert_int_equal(unit_in_child(be_inline, NULL, &output), 0);
	/* So does a caller that is no fiber. */
	pool = run_pool_new("test", 1);
	assert_int_equal(run_elsewhere(pool, work, job, job_free, CLOCK_NEVER), RUN_DONE);
	assert_int_equal(job->out, 8);
	free(job);
	run_pool_free(pool);
}
