#include "queue/queue_file.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>
#include "base/file.h"
#include "queue/queue_walk.h"

#define STATE_BITS 0700

int queue_file_take(struct queue_file *f, int fd)
{
	struct queue_file taken = {.fd = fd};
	if (fstat(fd, &taken.status) < 0)
		return -errno;
	*f = taken;
	record_reader_init(&f->reader, fd, 0);
	f->reader.size = f->status.st_size;
	return 0;
}

static int check_state(const struct stat *status)
{
	if (status->st_nlink == 0)
		return -ENOENT;
	if ((status->st_mode & STATE_BITS) == QUEUE_MODE_CORRUPT)
		return -EBADMSG;
	return (status->st_mode & STATE_BITS) == QUEUE_MODE_READY ? 0 : -EBUSY;
}

/* What the lock tells counts only for a file that is ready: its writer holds it before.
 * Looked at after the lock, as it may have changed or gone before. */
static int lock_and_take(struct queue_file *f, int fd, bool lock, uid_t owner)
{
	int locked = lock ? file_try_lock(fd, FILE_LOCK_EXCLUSIVE) : 0;
	int error = queue_file_take(f, fd);
	if (error == 0)
		error = queue_check(&f->status, owner);
	if (error == 0)
		error = check_state(&f->status);
	return error < 0 ? error : locked;
}

int queue_file_open(struct queue_file *f, const char *queue, struct str id, bool write,
    bool lock, uid_t owner)
{
	struct queue_file opened = {.fd = -1};
	int fd = queue_open_unchecked(queue, id, write ? O_RDWR : O_RDONLY);
	if (fd < 0)
		return fd;
	int error = lock_and_take(&opened, fd, lock, owner);
	if (error < 0)
		file_close(&fd);
	else
		*f = opened;
	return error;
}

int queue_file_open_active(
    struct queue_file *f, struct str queue, struct str id, bool write, uid_t owner)
{
	char name[QUEUE_PLACE_MAX];
	bool is_place = queue_place_of(queue) != 0;
	bool is_new = is_place || str_is(queue, QUEUE_INCOMING);
	if ((!is_new && !str_is(queue, QUEUE_ACTIVE)) ||
	    !str_to_cstr(queue, name, sizeof(name)))
		return -EINVAL;
	int error = is_new ? queue_file_open(f, name, id, write, false, owner) : -ENOENT;
	if (error == 0 && is_place && !queue_id_has_inode(id, f->status.st_ino)) {
		queue_file_close(f);
		error = -ENOENT;
	}
	return error == -ENOENT
	    ? queue_file_open(f, QUEUE_ACTIVE, id, write, false, owner)
	    : error;
}

bool queue_file_lies(struct queue_file *f, struct str id)
{
	char first = QUEUE_OVER;
	return queue_id_has_inode(id, f->status.st_ino) &&
	    record_reader_peek(&f->reader, &first) == 0 && first != QUEUE_OVER;
}

void queue_file_close(struct queue_file *f)
{
	record_reader_free(&f->reader);
	file_close(&f->fd);
}

void queue_walk_start(struct queue_file *f, int64_t offset)
{
	f->walked = 0;
	record_reader_seek(&f->reader, offset);
}

/* 0 is the placeholder of a pointer that was never needed. */
static int follow(struct queue_file *f, struct str data)
{
	int64_t target = 0;
	if (!str_to_range(str_trim(data), 0, f->status.st_size, &target))
		return -EBADMSG;
	if (target > 0)
		record_reader_seek(&f->reader, target);
	return 0;
}

int queue_walk_next(struct queue_file *f, int *type_r, struct str *data_r)
{
	for (;;) {
		int result = record_reader_next(&f->reader, type_r, data_r);
		if (result <= 0)
			return result;
		f->walked += f->reader.offset - f->reader.last_offset;
		if (f->walked > f->status.st_size)
			return -EBADMSG;
		if (*type_r != RECORD_POINTER)
			return 1;
		if (follow(f, *data_r) < 0)
			return -EBADMSG;
	}
}

int queue_number_next(struct str *rest, int64_t max, int64_t *value_r)
{
	size_t from = 0;
	while (from < rest->len && rest->p[from] == ' ')
		from++;
	size_t to = from;
	while (to < rest->len && rest->p[to] != ' ')
		to++;
	struct str word = str_slice(*rest, from, to);
	*rest = str_skip(*rest, to);
	if (word.len == 0)
		return 0;
	return str_to_range(word, 0, max, value_r) ? 1 : -EBADMSG;
}

bool queue_size_parse(struct str data, int64_t numbers[QUEUE_SIZE_NUMBERS])
{
	size_t count = 0;
	int64_t number;
	int result;
	while ((result = queue_number_next(&data, INT64_MAX, &number)) > 0) {
		if (count == QUEUE_SIZE_NUMBERS)
			return false;
		numbers[count++] = number;
	}
	for (size_t i = count; i < QUEUE_SIZE_NUMBERS; i++)
		numbers[i] = 0;
	return result == 0 && count >= 3;
}

bool queue_attribute_parse(struct str data, struct queue_attribute *r)
{
	ptrdiff_t equals = str_find(data, '=');
	if (equals <= 0)
		return false;
	r->name = str_slice(data, 0, (size_t)equals);
	r->value = str_skip(data, (size_t)equals + 1);
	return true;
}

bool queue_attribute_is_recipients(struct str name)
{
	return str_is(name, "notify_flags") || str_is(name, "dsn_orig_rcpt");
}

/* Where the extracted segment starts, from the size record; 0: a maildrop file. */
static int find_extracted(struct queue_file *f)
{
	int64_t numbers[QUEUE_SIZE_NUMBERS];
	int type = 0;
	struct str data = STR_EMPTY;
	record_reader_seek(&f->reader, 0);
	int result = record_reader_next(&f->reader, &type, &data);
	if (result <= 0 || type != RECORD_SIZE)
		return result < 0 ? result : 0;
	if (!queue_size_parse(data, numbers) || numbers[1] > f->status.st_size ||
	    numbers[0] > f->status.st_size - numbers[1])
		return -EBADMSG;
	f->extracted = numbers[1] + numbers[0];
	return 0;
}

/* From behind M to behind X. */
static int skip_content(struct queue_file *f)
{
	int type = 0;
	struct str data = STR_EMPTY;
	int64_t behind = f->reader.offset;
	int result = f->extracted > 0 ? 0 : find_extracted(f);
	if (result < 0)
		return result;
	record_reader_seek(&f->reader, f->extracted > 0 ? f->extracted : behind);
	do {
		result = queue_walk_next(f, &type, &data);
		if (result <= 0)
			return result < 0 ? result : -EBADMSG;
	} while (type == RECORD_LINE || type == RECORD_PART || type == RECORD_PADDING);
	return type == RECORD_EXTRACTED ? 0 : -EBADMSG;
}

/* What the records before R said about the recipient. */
struct pending {
	struct arena *arena;
	struct str original, dsn_orcpt;
	uint32_t notify;
	bool out_of_memory;
};

static struct str keep(struct pending *p, struct str s)
{
	struct str kept = arena_str(p->arena, s);
	if (kept.p == NULL) {
		p->out_of_memory = true;
		return STR_EMPTY;
	}
	return kept;
}

static void forget(struct pending *p)
{
	p->original = p->dsn_orcpt = STR_EMPTY;
	p->notify = 0;
}

static bool take_attribute(struct pending *p, struct str data)
{
	struct queue_attribute a;
	int64_t flags = 0;
	if (!queue_attribute_parse(data, &a))
		return false;
	if (str_is(a.name, "notify_flags")) {
		if (!str_to_range(a.value, 0, 15, &flags))
			return false;
		p->notify = (uint32_t)flags;
	} else if (str_is(a.name, "dsn_orig_rcpt") && a.value.len <= QUEUE_ORCPT_MAX) {
		p->dsn_orcpt = keep(p, a.value);
	}
	return true;
}

bool queue_recipient_valid(struct str data)
{
	return data.len <= ADDRESS_MAX && !str_has_control(data);
}

/* 1: *r_r is a recipient, 0: not yet, -EBADMSG, -ENOMEM. */
static int take_record(
    struct pending *p, int type, struct str data, struct queue_recipient *r_r)
{
	switch (type) {
	case RECORD_ATTRIBUTE:
		return take_attribute(p, data) ? 0 : -EBADMSG;
	case RECORD_ORIGINAL:
		if (!queue_recipient_valid(data))
			return -EBADMSG;
		p->original = keep(p, data);
		return 0;
	case RECORD_DONE:
	case RECORD_CANCELLED:
		forget(p);
		return 0;
	case RECORD_RECIPIENT:
		if (!queue_recipient_valid(data))
			return -EBADMSG;
		*r_r = (struct queue_recipient){.address = keep(p, data),
		    .original = p->original,
		    .dsn_orcpt = p->dsn_orcpt,
		    .notify = p->notify};
		forget(p);
		return p->out_of_memory ? -ENOMEM : 1;
	default:
		return 0;
	}
}

ssize_t queue_file_recipients(struct queue_file *f, struct arena *a, int64_t *offset,
    struct queue_recipient *out, size_t max)
{
	struct pending pending = {.arena = a};
	size_t count = 0;
	if (*offset < 0)
		return 0;
	forget(&pending);
	/* All portions are one walk, so that a circle ends. */
	if (*offset == 0)
		queue_walk_start(f, f->recipients);
	else
		record_reader_seek(&f->reader, *offset);
	while (count < max) {
		int type = 0;
		struct str data = STR_EMPTY;
		int result = queue_walk_next(f, &type, &data);
		if (result <= 0)
			return result < 0 ? result : -EBADMSG;
		int64_t at = f->reader.last_offset;
		if (type == RECORD_END) {
			*offset = -1;
			return (ssize_t)count;
		}
		if (type == RECORD_MESSAGE)
			result = skip_content(f);
		else
			result = take_record(&pending, type, data, &out[count]);
		if (result < 0)
			return result;
		if (result > 0)
			out[count++].offset = at;
	}
	*offset = f->reader.offset;
	return (ssize_t)count;
}

void queue_file_content_start(struct queue_file *f, const struct queue_envelope *e)
{
	queue_walk_start(f, e->content_offset);
}

int queue_file_content_next(struct queue_file *f, struct str *line_r, bool *whole_r)
{
	for (;;) {
		int type = 0;
		struct str data = STR_EMPTY;
		int result = queue_walk_next(f, &type, &data);
		if (result <= 0)
			return result < 0 ? result : -EBADMSG;
		if (type == RECORD_EXTRACTED)
			return 0;
		if (type == RECORD_PADDING)
			continue;
		if (type != RECORD_LINE && type != RECORD_PART)
			return -EBADMSG;
		*line_r = data;
		*whole_r = type == RECORD_LINE;
		return 1;
	}
}

/* The record at `offset`, and another one behind it: an offset that somebody made up hits
 * neither easily. What was read before is not read again: a record is changed only by the
 * one who asks. */
static int record_at(struct queue_file *f, int64_t offset, int *type_r, size_t *len_r)
{
	int behind = 0;
	struct str data = STR_EMPTY;
	if (offset <= 0)
		return -EBADMSG;
	record_reader_seek(&f->reader, offset);
	int result = record_reader_next(&f->reader, type_r, &data);
	*len_r = data.len;
	if (result == 1)
		result = record_reader_next(&f->reader, &behind, &data);
	if (result < 0)
		return result;
	return result == 1 && record_label(behind, false) != NULL ? 0 : -EBADMSG;
}

static int change_type(
    struct queue_file *f, int64_t offset, enum record_type from, enum record_type to)
{
	const char byte = (char)to;
	int type = 0;
	size_t len = 0;
	int error = record_at(f, offset, &type, &len);
	if (error < 0 || type == (int)to)
		return error;
	return type == (int)from ? file_write_all_at(f->fd, &byte, 1, offset) : -EBADMSG;
}

int queue_file_mark_done(struct queue_file *f, int64_t offset)
{
	return change_type(f, offset, RECORD_RECIPIENT, RECORD_DONE);
}

int queue_file_kill_attribute(struct queue_file *f, int64_t offset)
{
	return change_type(f, offset, RECORD_ATTRIBUTE, RECORD_KILLED);
}

#define WARN_DATA   15 /* digits and blanks of a W record */
#define WARN_HEADER 2

int queue_file_set_warn(struct queue_file *f, int64_t offset, int64_t when)
{
	char text[32];
	int type = 0;
	size_t len = 0;
	int error = record_at(f, offset, &type, &len);
	if (error < 0)
		return error;
	if (type != RECORD_WARN || len != WARN_DATA)
		return -EBADMSG;
	(void)snprintf(text, sizeof(text), "%15lld", (long long)when);
	return file_write_all_at(f->fd, text, WARN_DATA, offset + WARN_HEADER);
}
