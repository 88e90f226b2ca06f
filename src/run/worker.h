/*
 * Worker threads for calls that block in a library or in the disk. The calling fiber
 * sleeps while fn(job) runs on a thread of the pool. The job owns its memory: it is made
 * by the caller, read and written by fn only while it runs, and freed by `job_free`,
 * either by the caller after RUN_DONE (job_free is not called then: the caller looks at
 * the result and frees) or by the pool when the fiber left at its deadline (RUN_LATE: the
 * job must not be touched any more; job_free runs on the loop thread when fn has
 * returned, or at once, without fn, when no thread had taken the job yet).
 *
 * In a process that must not make threads (local, virtual, pipe, spawn: run_inline_only)
 * fn runs at once on the caller's stack and the deadline is not enforced; so it does for
 * a caller that is no fiber.
 * fn must not log, wait, or touch anything but its job.
 */
#ifndef RUN_WORKER_H
#define RUN_WORKER_H

#include <stdbool.h>
#include <stdint.h>
#include "base/attributes.h"

struct run_pool; /* each table has one of its own */

/* Threads start at first use. `threads` 1..64. Never NULL. */
struct run_pool *run_pool_new(const char *name, unsigned threads);
void run_pool_free(struct run_pool *p); /* waits for jobs under way */

enum run_result { RUN_DONE, RUN_LATE };
MUST_USE enum run_result run_elsewhere(struct run_pool *p, void (*fn)(void *job),
    void *job, void (*job_free)(void *job), int64_t deadline);

/*
 * How long one kind of disk work takes lately; starts as zeros. To hand a job to a thread
 * and be woken again costs some tens of microseconds of two cores: work that is usually
 * over within RUN_QUICK_US is done at once, while all else of the process waits, and what
 * has come meanwhile is then done together. One slow job, and threads do the next ones
 * until they are quick again.
 */
#define RUN_QUICK_US 1000
struct run_pace {
	int64_t usual_us;
};
/* Work on the disk, which answers in the end with success or an error: the caller waits
 * however long that takes, and the job stays his. `pace` NULL: never quick. The process
 * has 16 threads for it. */
void run_disk(struct run_pace *pace, void (*fn)(void *job), void *job);

void run_inline_only(void); /* from now on no thread is ever created */
size_t run_pool_waiting(const struct run_pool *p); /* jobs queued or running */

#endif
