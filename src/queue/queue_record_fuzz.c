/*
 * A whole queue file from a stranger's hand: envelope, recipients, content, marks.
 * Nothing may be read past its end, walked for ever, or kept beyond the arena's ceiling.
 */
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>
#include "base/file.h"
#include "base/panic.h"
#include "queue/queue_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define ARENA_MAX (1 << 20)
#define PORTION   3

static void check_recipients(struct queue_file *f, struct arena *a, size_t size)
{
	struct queue_recipient r[PORTION];
	int64_t offset = 0;
	for (size_t portions = 0; portions <= size; portions++) {
		ssize_t count = queue_file_recipients(f, a, &offset, r, PORTION);
		if (count <= 0)
			return;
		for (ssize_t i = 0; i < count; i++) {
			ENSURE(r[i].address.len <= ADDRESS_MAX && r[i].notify <= 15);
			ENSURE(!str_has_control(r[i].address));
			ENSURE(r[i].offset >= 0 && (size_t)r[i].offset < size);
		}
		if (offset < 0)
			return;
	}
}

static void check_content(
    struct queue_file *f, const struct queue_envelope *e, size_t size)
{
	struct str line = STR_EMPTY;
	bool whole = false;
	size_t total = 0;
	queue_file_content_start(f, e);
	while (queue_file_content_next(f, &line, &whole) == 1)
		total += line.len;
	ENSURE(total <= size);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int fd = memfd_create("fuzz", MFD_CLOEXEC);
	ENSURE(fd >= 0 && file_write_all(fd, data, size) == 0);
	struct queue_file f;
	ENSURE(queue_file_take(&f, fd) == 0);
	struct arena *a = arena_new(ARENA_MAX);
	struct queue_envelope e;
	CLEANUP(buf_free) struct buf reason = BUF_INIT(200);
	int result = queue_file_envelope(&f, a, &e, &reason);
	ENSURE(result != -EBADMSG || reason.len > 0);
	if (result == 0) {
		ENSURE(
		    e.content_offset >= 0 && e.content_size >= 0 && e.sender.p != NULL);
		check_content(&f, &e, size);
	}
	if (queue_file_head(&f, a, &e, &reason) == 0)
		check_content(&f, &e, size);
	check_recipients(&f, a, size);
	for (int64_t at = 0; at < 32; at++) {
		ENSURE(queue_file_mark_done(&f, at) <= 0);
		ENSURE(queue_file_set_warn(&f, at, 1) <= 0);
	}
	struct stat status;
	ENSURE(fstat(fd, &status) == 0 && (size_t)status.st_size == size);
	arena_free(a);
	queue_file_close(&f);
	return 0;
}
