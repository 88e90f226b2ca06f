#include "queue/commit_checkpoint.h"

#include <errno.h>
#include <fcntl.h>
#include <libdeflate.h>
#include "base/file.h"
#include "ipc/little_endian.h"
#include "queue/commit_segment.h"

/*
 * Two slots, in blocks of their own, are written in turn: a torn write spoils only the
 * older one. A slot: magic, failed u32, turn u64, stamp i64, CRC-32 of these.
 */
#define FILE_NAME   "checkpoint"
#define SLOT_COUNT  2
#define SLOT_SIZE   32
#define SLOT_SUMMED 28
#define MAGIC       0x50434850u /* "PHCP" */

struct slot {
	uint32_t failed; /* errno of a sync */
	uint64_t turn;
	int64_t stamp;
};

static bool decode(const char *p, struct slot *s_r)
{
	if (get_le32(p) != MAGIC ||
	    get_le32(p + SLOT_SUMMED) != libdeflate_crc32(0, p, SLOT_SUMMED))
		return false;
	*s_r = (struct slot){.failed = get_le32(p + 4),
	    .turn = get_le64(p + 8),
	    .stamp = (int64_t)get_le64(p + 16)};
	return true;
}

static void encode(char *p, const struct slot *s)
{
	memset(p, 0, SLOT_SIZE);
	put_le32(p, MAGIC);
	put_le32(p + 4, s->failed);
	put_le64(p + 8, s->turn);
	put_le64(p + 16, (uint64_t)s->stamp);
	put_le32(p + SLOT_SUMMED, libdeflate_crc32(0, p, SLOT_SUMMED));
}

/* The newer of the two; all zero when none is good. */
static int read_slots(int fd, struct slot *s_r)
{
	struct slot best = {.turn = 0};
	for (unsigned i = 0; i < SLOT_COUNT; i++) {
		char bytes[SLOT_SIZE] = "";
		struct slot s;
		ssize_t got =
		    file_read_at(fd, bytes, sizeof(bytes), (off_t)i * SEGMENT_BLOCK);
		if (got < 0)
			return (int)got;
		if (decode(bytes, &s) && s.turn > best.turn)
			best = s;
	}
	*s_r = best;
	return 0;
}

static int write_slot(int fd, struct slot s)
{
	char bytes[SLOT_SIZE];
	s.turn++;
	encode(bytes, &s);
	int error = file_write_all_at(
	    fd, bytes, sizeof(bytes), (off_t)(s.turn % SLOT_COUNT) * SEGMENT_BLOCK);
	return error < 0 ? error : file_sync_data(fd);
}

int checkpoint_read(int dir, int64_t *stamp_r)
{
	struct slot s;
	CLEANUP(file_close) int fd = file_open_at(dir, FILE_NAME, O_RDONLY, 0);
	if (fd == -ENOENT) {
		*stamp_r = 0;
		return 0;
	}
	int error = fd < 0 ? fd : read_slots(fd, &s);
	if (error == 0)
		*stamp_r = s.stamp;
	return error;
}

/* errno of a sync in this process, which may be all that knows of it: the disk that
 * failed may not take the note either. Guarded by the lock. */
static int failed;

/* One process at a time; the others find the work done. */
static int open_and_lock(int dir)
{
	int fd = file_open_at(dir, FILE_NAME, O_RDWR | O_CREAT, 0600);
	if (fd < 0)
		return fd;
	int error = file_lock(fd, FILE_LOCK_EXCLUSIVE);
	if (error < 0)
		file_close(&fd);
	return error < 0 ? error : fd;
}

int checkpoint_make(int dir, int64_t wanted)
{
	struct slot s;
	CLEANUP(file_close) int fd = open_and_lock(dir);
	int error = fd < 0 ? fd : read_slots(fd, &s);
	if (error < 0)
		return error;
	if (s.failed != 0)
		return -EIO;
	if (failed == 0 && s.stamp > wanted)
		return 0;
	s.stamp = segment_now();
	/* The kernel tells a failure to whoever had a descriptor when it happened: `fd`
	 * is too young. */
	error = failed == 0 ? file_sync_system(dir) : -failed;
	if (error < 0) {
		failed = -error;
		s.failed = (uint32_t)failed;
		s.stamp = 0; /* everything counts again */
	}
	int written = write_slot(fd, s);
	return error < 0 ? error : written;
}

/* The next turn, with this stamp; whatever has failed before is over. */
static int rewrite(int dir, int64_t stamp)
{
	CLEANUP(file_close) int fd = open_and_lock(dir);
	struct slot s = {.turn = 0};
	int error = fd < 0 ? fd : read_slots(fd, &s);
	if (error < 0)
		return error;
	failed = 0;
	return write_slot(fd, (struct slot){.turn = s.turn, .stamp = stamp});
}

int checkpoint_cover_all(int dir)
{
	return rewrite(dir, INT64_MAX);
}

int checkpoint_reset(int dir)
{
	return rewrite(dir, 0);
}
