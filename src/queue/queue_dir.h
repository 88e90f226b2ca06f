/*
 * Queue directories: names, hashing, moving a file, scanning. The working directory is
 * queue_directory; all paths are relative. A message lives in exactly one queue file, of
 * the same name in every queue.
 */
#ifndef QUEUE_QUEUE_DIR_H
#define QUEUE_QUEUE_DIR_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>
#include "base/buf.h"
#include "queue/queue_id.h"

#define QUEUE_MAILDROP "maildrop"
#define QUEUE_INCOMING "incoming"
#define QUEUE_ACTIVE   "active"
#define QUEUE_DEFERRED "deferred"
#define QUEUE_HOLD     "hold"
#define QUEUE_CORRUPT  "corrupt"
#define QUEUE_BOUNCE   "bounce"
#define QUEUE_DEFER    "defer"
#define QUEUE_TRACE    "trace"
#define QUEUE_FLUSH    "flush"

#define QUEUE_PATH_MAX 256

/* hash_queue_names, hash_queue_depth: set once at start. incoming and maildrop stay flat.
 */
void queue_dir_configure(struct str hash_names, unsigned depth);
/* "deferred/6/6DC6248E": where the message belongs. queue_move, queue_remove and
 * queue_open also find one that lies at another depth. */
void queue_path(char path[QUEUE_PATH_MAX], const char *queue, struct str id);
/* Mail without a name (commit_slots.h) lies at a place: one number, never 0, and the path
 * "commit/slots/3/17", which all functions here take for a queue. */
#define QUEUE_SLOTS     "commit/slots"
#define QUEUE_PLACE_MAX 40 /* with its NUL */
uint64_t queue_place(uint16_t directory, uint32_t number);
uint32_t queue_place_number(uint64_t place);
void queue_place_path(char path[QUEUE_PLACE_MAX], uint64_t place);
/* 0: no such path. */
uint64_t queue_place_of(struct str path);
/* Renames between queues; makes the hash directory when it is missing. 0 or -errno. */
MUST_USE int queue_move(struct str id, const char *from, const char *to);
/* Brings a file from anywhere in the queue directory to where it belongs, unless another
 * one is there (-EEXIST). */
MUST_USE int queue_take_in(const char *path, const char *queue, struct str id);
MUST_USE int queue_remove(const char *queue, struct str id);
/* open(2) of a regular file owned by `owner` (or any, when (uid_t)-1), no links followed.
 * To read it leaves its time of access alone, where its owner or root does. Descriptor or
 * -errno (-EPERM: not a regular file or wrong owner). */
MUST_USE int queue_open(const char *queue, struct str id, int flags, uid_t owner);
/* Its halves, for who looks at the status only after something else: -EPERM as above. */
MUST_USE int queue_open_unchecked(const char *queue, struct str id, int flags);
MUST_USE int queue_check(const struct stat *status, uid_t owner);
/* Opens for appending, creating the hash directory and the file (0600). */
MUST_USE int queue_open_log(const char *queue, struct str id);

/* Walks the names of a queue, hashed directories included; names that are no queue ids
 * are skipped. Steps are small, so a fiber can scan a huge queue and yield in between. */
struct queue_scan;
struct queue_scan *queue_scan_new(const char *queue); /* NULL: cannot open (errno) */
/* False at the end. */
MUST_USE bool queue_scan_next(struct queue_scan *s, char id[QUEUE_ID_MAX]);
void queue_scan_free(struct queue_scan *s);

#endif
