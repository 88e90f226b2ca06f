#include "queue/commit_segment.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <libdeflate.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include "base/file.h"
#include "base/memory.h"
#include "ipc/little_endian.h"
#include "queue/commit_checkpoint.h"
#include "queue/commit_slots.h"
#include "queue/queue_id.h"

/*
 * The first block: magic, version u32, CRC-32 u32 of the rest, generation u64.
 * A record: magic u32, CRC-32 u32 of the rest and of the bytes, generation u64, stamp
 * i64, arrival seconds i64, arrival microseconds u32, length of the bytes u32, kind u8,
 * place (plus 1, or 0) 7 bytes, id padded with zeros; then the bytes; the next begins at
 * a multiple of 8. A batch begins at a multiple of a block, so that no write touches a
 * block in which something safe lies.
 */
#define HEADER_MAGIC   "PHSEGMT\n"
#define HEADER_SIZE    24
#define HEADER_VERSION 1u
#define RECORD_MAGIC   0x43524850u /* "PHRC" */
#define RECORD_SUMMED  8           /* the checksum covers all from here on */
#define RECORD_ID      48
#define RECORD_SIZE    (RECORD_ID + QUEUE_ID_MAX)
#define FILL_PIECE     ((size_t)256 * 1024)
#define WINDOW         ((size_t)2 * SEGMENT_RECORD_MAX)

struct segment {
	int dir, fd;
	int64_t size, end; /* where the next batch begins */
	uint64_t generation;
	int64_t last_stamp; /* of its records, 0: none */
	bool unnamed;       /* one of them is of a message without a name */
	bool broken;        /* a write or sync failed */
	char *batch;        /* aligned, for what is written next */
	size_t batch_size;
};

int64_t segment_now(void)
{
	struct timespec now;
	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static int64_t round_up(int64_t value, int64_t unit)
{
	return (value + unit - 1) / unit * unit;
}

/* Whole blocks, so that no write passes the end. */
static int64_t round_down(int64_t size)
{
	return size - size % SEGMENT_BLOCK;
}

/* --- the header --- */

static uint32_t checksum(const char *p, size_t len)
{
	return libdeflate_crc32(0, p, len);
}

static int header_write(int fd, uint64_t generation)
{
	_Alignas(SEGMENT_BLOCK) char block[SEGMENT_BLOCK] = HEADER_MAGIC;
	put_le32(block + 8, HEADER_VERSION);
	put_le64(block + 16, generation);
	put_le32(block + 12, checksum(block + 16, HEADER_SIZE - 16));
	return file_write_all_at(fd, block, sizeof(block), 0);
}

/* 0: none, or spoiled by a crash before its first batch was safe. */
static uint64_t header_generation(const char *p, size_t len)
{
	if (len < HEADER_SIZE || memcmp(p, HEADER_MAGIC, 8) != 0 ||
	    get_le32(p + 8) != HEADER_VERSION ||
	    get_le32(p + 12) != checksum(p + 16, HEADER_SIZE - 16))
		return 0;
	return get_le64(p + 16);
}

/* --- records --- */

size_t segment_cost(const struct segment_record *r)
{
	return RECORD_SIZE + (size_t)round_up((int64_t)r->bytes.len, 8);
}

/* Writes the record at `out`, segment_cost() bytes. */
static void record_put(char *out, const struct segment_record *r, uint64_t generation)
{
	memset(out, 0, RECORD_SIZE);
	put_le32(out, RECORD_MAGIC);
	put_le64(out + 8, generation);
	put_le64(out + 16, (uint64_t)r->stamp);
	put_le64(out + 24, (uint64_t)r->arrival.tv_sec);
	put_le32(out + 32, (uint32_t)r->arrival.tv_usec);
	put_le32(out + 36, (uint32_t)r->bytes.len);
	put_le64(out + 40, r->place << 8 | r->kind);
	memcpy(out + RECORD_ID, r->id.p, r->id.len);
	if (r->bytes.len > 0)
		memcpy(out + RECORD_SIZE, r->bytes.p, r->bytes.len);
	memset(out + RECORD_SIZE + r->bytes.len, 0,
	    segment_cost(r) - RECORD_SIZE - r->bytes.len);
	put_le32(out + 4,
	    checksum(out + RECORD_SUMMED, RECORD_SIZE - RECORD_SUMMED + r->bytes.len));
}

/* What lies at `p`; false: no record of this generation. */
static bool record_at(
    const char *p, size_t len, uint64_t generation, struct segment_record *r_r)
{
	if (len < RECORD_SIZE || get_le32(p) != RECORD_MAGIC ||
	    get_le64(p + 8) != generation)
		return false;
	size_t bytes = get_le32(p + 36);
	uint64_t kind = get_le64(p + 40) & 0xff;
	const char *id_end = memchr(p + RECORD_ID, '\0', QUEUE_ID_MAX);
	if (bytes > SEGMENT_RECORD_MAX - RECORD_SIZE || bytes > len - RECORD_SIZE ||
	    kind < SEGMENT_MESSAGE || kind > SEGMENT_REMOVED || id_end == NULL)
		return false;
	struct segment_record r = {
	    .kind = (enum segment_kind)kind,
	    .stamp = (int64_t)get_le64(p + 16),
	    .arrival = {.tv_sec = (time_t)get_le64(p + 24),
		.tv_usec = (suseconds_t)get_le32(p + 32)},
	    .place = get_le64(p + 40) >> 8,
	    .id = {p + RECORD_ID, (size_t)(id_end - p) - RECORD_ID},
	    .bytes = {p + RECORD_SIZE, bytes},
	};
	if (!queue_id_valid(r.id) ||
	    get_le32(p + 4) !=
		checksum(p + RECORD_SUMMED, RECORD_SIZE - RECORD_SUMMED + bytes))
		return false;
	*r_r = r;
	return true;
}

/* A part of the file, read as the walk gets there: an empty segment costs one read. */
struct window {
	int fd;
	char *bytes;
	size_t len;
	int64_t start; /* where they lie in the file */
	bool last;     /* the file ends with them */
};

/* The bytes from `at` on, a whole record at least unless the file ends. 0 or -errno. */
static int window_move(struct window *w, int64_t at, struct str *bytes_r)
{
	size_t skipped = (size_t)(at - w->start);
	if (w->len - skipped < SEGMENT_RECORD_MAX && !w->last) {
		memmove(w->bytes, w->bytes + skipped, w->len - skipped);
		w->len -= skipped;
		w->start = at;
		size_t room = WINDOW - w->len;
		ssize_t got =
		    file_read_at(w->fd, w->bytes + w->len, room, at + (int64_t)w->len);
		if (got < 0)
			return (int)got;
		w->len += (size_t)got;
		w->last = (size_t)got < room;
		skipped = 0;
	}
	*bytes_r = (struct str){w->bytes + skipped, w->len - skipped};
	return 0;
}

/* Where the record after `at` may begin: behind it, or with the next batch. */
static int records_walk(struct window *w,
    int (*each)(void *context, const struct segment_record *r), void *context)
{
	struct str bytes;
	struct segment_record r;
	int64_t at = 0;
	int result = window_move(w, at, &bytes);
	uint64_t generation = result == 0 ? header_generation(bytes.p, bytes.len) : 0;
	at = SEGMENT_BLOCK;
	while (result == 0 && generation != 0 && at < w->start + (int64_t)w->len) {
		result = window_move(w, at, &bytes);
		if (result != 0)
			break;
		if (record_at(bytes.p, bytes.len, generation, &r)) {
			result = each(context, &r);
			at += (int64_t)segment_cost(&r);
		} else if (at % SEGMENT_BLOCK == 0) {
			break;
		} else {
			at = round_up(at, SEGMENT_BLOCK);
		}
	}
	return result;
}

int segment_read(
    int fd, int (*each)(void *context, const struct segment_record *r), void *context)
{
	struct stat status;
	if (fstat(fd, &status) < 0)
		return -errno;
	if (!S_ISREG(status.st_mode) || status.st_size > SEGMENT_SIZE_MAX)
		return -EBADMSG;
	struct window w = {
	    .fd = fd, .bytes = memory_alloc_aligned(SEGMENT_BLOCK, WINDOW)};
	int result = records_walk(&w, each, context);
	free(w.bytes);
	return result;
}

static int read_generation(int fd, uint64_t *generation_r)
{
	char bytes[HEADER_SIZE];
	ssize_t got = file_read_at(fd, bytes, sizeof(bytes), 0);
	if (got < 0)
		return (int)got;
	*generation_r = header_generation(bytes, (size_t)got);
	return 0;
}

int segment_invalidate(int fd)
{
	uint64_t generation = 0;
	int error = read_generation(fd, &generation);
	if (error == 0)
		error = header_write(fd, generation + 1);
	return error < 0 ? error : file_sync_data(fd);
}

/* --- taking one --- */

static void file_name(char name[SEGMENT_NAME_MAX], unsigned number)
{
	(void)snprintf(name, SEGMENT_NAME_MAX, "%03u.log", number);
}

/* "017.log" */
static bool is_segment_name(const char *name)
{
	struct str s = str_of(name);
	int64_t number;
	return str_ends(s, STR(".log")) &&
	    str_to_range(str_slice(s, 0, s.len - 4), 0, SEGMENTS_MAX - 1, &number) &&
	    s.len < SEGMENT_NAME_MAX;
}

struct visitor {
	int (*each)(void *context, int fd);
	void *context;
	char *name_r; /* SEGMENT_NAME_MAX, or NULL */
};

static int visit_file(void *context, int dir, const char *name)
{
	const struct visitor *v = context;
	if (!is_segment_name(name))
		return 0;
	if (v->name_r != NULL && !str_to_cstr(str_of(name), v->name_r, SEGMENT_NAME_MAX))
		return 0;
	CLEANUP(file_close) int fd = file_open_at(dir, name, O_RDWR | O_NONBLOCK, 0);
	return fd < 0 ? fd : v->each(v->context, fd);
}

int segment_each(int dir, int (*each)(void *context, int fd), void *context,
    char name_r[SEGMENT_NAME_MAX])
{
	struct visitor v = {.each = each, .context = context, .name_r = name_r};
	return file_list_each(dir, ".", visit_file, &v);
}

static int remove_file(UNUSED void *context, int dir, const char *name)
{
	return is_segment_name(name) ? file_unlink(dir, name) : 0;
}

int segment_remove_all(int dir)
{
	return file_list_each(dir, ".", remove_file, NULL);
}

/* A message of which only the log knows where it lies: 1, 0, or -errno. */
static int is_unnamed(const struct segment_record *r)
{
	struct commit_message m = {.arrival = r->arrival, .place = r->place};
	return r->place != 0 && str_to_cstr(r->id, m.id, sizeof(m.id))
	    ? commit_message_lies(&m)
	    : 0;
}

struct unnamed {
	bool in_use; /* also what a living process has */
	void (*each)(void *context, const struct segment_record *r);
	void *context;
	int error; /* of the first that nobody can say it of */
};

static int tell(void *context, const struct segment_record *r)
{
	struct unnamed *u = context;
	int lies = is_unnamed(r);
	if (lies > 0)
		u->each(u->context, r);
	else if (u->error == 0)
		u->error = lies;
	return 0;
}

static int visit_unnamed(void *context, int fd)
{
	const struct unnamed *u = context;
	/* While we look nobody may begin to use it. */
	int error = u->in_use ? 0 : file_try_lock(fd, FILE_LOCK_EXCLUSIVE);
	if (error == 0)
		error = segment_read(fd, tell, context);
	return error == -EWOULDBLOCK ? 0 : error;
}

int segment_unnamed(int dir, bool in_use,
    void (*each)(void *context, const struct segment_record *r), void *context)
{
	struct unnamed u = {.in_use = in_use, .each = each, .context = context};
	int error = segment_each(dir, visit_unnamed, &u, NULL);
	return error < 0 ? error : u.error;
}

/* All blocks are written once, so that a later sync has no allocation to record. */
static int fill(int fd, int64_t size)
{
	char *zeros = memory_alloc(FILL_PIECE);
	int error = 0;
	for (int64_t at = 0; error == 0 && at < size; at += (int64_t)FILL_PIECE) {
		int64_t left = size - at;
		size_t piece = left < (int64_t)FILL_PIECE ? (size_t)left : FILL_PIECE;
		error = file_write_all_at(fd, zeros, piece, at);
	}
	free(zeros);
	return error < 0 ? error : file_sync(fd);
}

static void note(struct segment *s, const struct segment_record *r)
{
	if (r->stamp > s->last_stamp)
		s->last_stamp = r->stamp;
	s->unnamed = s->unnamed || r->place != 0;
}

static int note_record(void *context, const struct segment_record *r)
{
	note(context, r);
	return 0;
}

/* Where nobody can say it the log is all that is sure to know. */
static int find_unnamed(UNUSED void *context, const struct segment_record *r)
{
	return is_unnamed(r) != 0 ? -EWOULDBLOCK : 0;
}

/* What a checkpoint must pass before the records are not needed any more. The names that
 * messages without any were given meanwhile have to be on the disk too, and they are
 * younger than the records. */
static int64_t last_change(const struct segment *s)
{
	return s->unnamed ? segment_now() : s->last_stamp;
}

/* A new generation begins: what was there before must be durable as files. */
static int begin(struct segment *s)
{
	int64_t stamp;
	int error = checkpoint_read(s->dir, &stamp);
	if (error == 0 && s->last_stamp > 0 && last_change(s) >= stamp)
		error = checkpoint_make(s->dir, last_change(s));
	if (error < 0)
		return error;
	s->generation++;
	s->last_stamp = 0;
	s->unnamed = false;
	s->end = SEGMENT_BLOCK;
	return header_write(s->fd, s->generation);
}

/* The file is ours by its lock. */
static int adopt(struct segment *s)
{
	struct stat status;
	if (fstat(s->fd, &status) < 0)
		return -errno;
	if (status.st_nlink == 0)
		return -EWOULDBLOCK; /* removed while we opened it */
	int error = read_generation(s->fd, &s->generation);
	if (error == 0)
		error = segment_read(s->fd, note_record, s);
	if (error == 0 && s->last_stamp > 0)
		error = segment_read(s->fd, find_unnamed, NULL);
	if (error == 0 && s->last_stamp == 0 && status.st_size != s->size) {
		error = ftruncate(s->fd, 0) < 0 ? -errno : fill(s->fd, s->size);
		if (error < 0 && ftruncate(s->fd, 0) < 0)
			error = -errno; /* a full disk keeps what we took of it */
	} else if (error == 0) {
		s->size = round_down(status.st_size);
	}
	return error < 0 ? error : begin(s);
}

/* The kernel takes the bytes straight from here: no copy, and nothing left to look for
 * when it syncs. Where a file system does not do that, it copies as always. */
static void write_directly(int fd)
{
	int flags = fcntl(fd, F_GETFL);
	if (flags >= 0)
		(void)fcntl(fd, F_SETFL, flags | O_DIRECT);
}

/* -EWOULDBLOCK: in use; try the next. */
static int try_file(int dir, unsigned number, struct segment *s)
{
	char name[SEGMENT_NAME_MAX];
	file_name(name, number);
	s->fd = file_open_at(dir, name, O_RDWR | O_CREAT | O_NONBLOCK, 0600);
	if (s->fd < 0)
		return s->fd;
	int error = file_try_lock(s->fd, FILE_LOCK_EXCLUSIVE);
	if (error == 0)
		error = adopt(s);
	if (error == 0)
		error = file_sync_dir(dir, ".");
	if (error < 0)
		file_close(&s->fd);
	else
		write_directly(s->fd);
	return error;
}

int segment_take(int dir, int64_t size, struct segment **s_r)
{
	int error = -EWOULDBLOCK;
	struct segment *s = memory_alloc(sizeof(*s));
	size = round_down(size);
	for (unsigned i = 0; i < SEGMENTS_MAX && error == -EWOULDBLOCK; i++) {
		*s = (struct segment){.dir = dir, .fd = -1, .size = size};
		error = try_file(dir, i, s);
	}
	if (error < 0)
		free(s);
	else
		*s_r = s;
	return error;
}

void segment_close(struct segment *s)
{
	if (s == NULL)
		return;
	file_close(&s->fd);
	free(s->batch);
	free(s);
}

int64_t segment_last_stamp(const struct segment *s)
{
	return s->last_stamp;
}

int segment_renew(struct segment *s)
{
	if (!s->broken)
		return begin(s);
	/* Its records may not be readable: what they stand for must be safe otherwise. */
	int error = checkpoint_make(s->dir, last_change(s));
	return error < 0 ? error : -EIO;
}

/* --- appending --- */

size_t segment_room(const struct segment *s)
{
	return s->broken || s->end >= s->size ? 0 : (size_t)(s->size - s->end);
}

static char *batch_room(struct segment *s, size_t size)
{
	if (size > s->batch_size) {
		free(s->batch);
		s->batch = memory_alloc_aligned(SEGMENT_BLOCK, size);
		s->batch_size = size;
	}
	return s->batch;
}

int segment_append(struct segment *s, const struct segment_record *records, size_t count)
{
	size_t len = 0, at = 0;
	for (size_t i = 0; i < count; i++)
		len += segment_cost(&records[i]);
	if (len > segment_room(s))
		return -EMSGSIZE;
	size_t size = (size_t)round_up((int64_t)len, SEGMENT_BLOCK);
	char *batch = batch_room(s, size);
	for (size_t i = 0; i < count; i++) {
		record_put(batch + at, &records[i], s->generation);
		at += segment_cost(&records[i]);
		note(s, &records[i]);
	}
	memset(batch + len, 0, size - len);
	int error = file_write_all_at(s->fd, batch, size, s->end);
	if (error == 0)
		error = file_sync_data(s->fd);
	/* Never synced again in the hope of better luck: the kernel may have dropped the
	 * pages and would report success. */
	s->broken = error < 0;
	s->end += (int64_t)size;
	return error;
}
