#include "queue/record.h"

#include <errno.h>
#include "base/file.h"

#define FIRST_READ (16 * 1024) /* most files are smaller than the window */
#define WINDOW     (64 * 1024)
#define HEADER_MAX 6 /* type, and five bytes of length */
#define WINDOW_MAX (WINDOW + RECORD_DATA_MAX + HEADER_MAX)

const char *record_label(int type, bool in_content)
{
	if (in_content && type == RECORD_PART)
		return "unterminated_text";
	switch (type) {
#define RECORD_CASE(name, byte, label) \
	case byte:                     \
		return label;
		RECORD_TYPES(RECORD_CASE)
#undef RECORD_CASE
	default:
		return NULL;
	}
}

/* Type and length. Where the data goes, for which there is room; NULL: there is none. */
static char *record_start(struct buf *out, enum record_type type, size_t len)
{
	if (!buf_make_room(out, HEADER_MAX + len))
		return NULL;
	char *at = out->p + out->len;
	*at++ = (char)type;
	for (; len > 127; len >>= 7)
		*at++ = (char)((len & 127) | 128);
	*at++ = (char)len;
	return at;
}

static char *put(char *at, struct str data)
{
	if (data.len > 0)
		memcpy(at, data.p, data.len);
	return at + data.len;
}

static void record_stop(struct buf *out, char *end)
{
	*end = '\0';
	out->len = (size_t)(end - out->p);
}

void record_write(struct buf *out, enum record_type type, struct str data)
{
	char *at = record_start(out, type, data.len);
	if (at != NULL)
		record_stop(out, put(at, data));
}

size_t record_write_lines(struct buf *out, struct str text, size_t limit)
{
	const char *line = text.p, *end = text.p + text.len, *lf;
	while ((lf = memchr(line, '\n', (size_t)(end - line))) != NULL) {
		size_t len = (size_t)(lf - line);
		char *at = len < limit ? record_start(out, RECORD_LINE, len) : NULL;
		if (at == NULL)
			break;
		record_stop(out, put(at, (struct str){line, len}));
		line = lf + 1;
	}
	return (size_t)(line - text.p);
}

void record_printf(struct buf *out, enum record_type type, const char *format, ...)
{
	CLEANUP(buf_free) struct buf data = BUF_INIT(RECORD_DATA_MAX);
	va_list args;
	va_start(args, format);
	buf_vprintf(&data, format, args);
	va_end(args);
	record_write(out, type, buf_str(&data));
}

void record_attribute(struct buf *out, const char *name, struct str value)
{
	record_named(out, str_of(name), value);
}

void record_named(struct buf *out, struct str name, struct str value)
{
	char *at = record_start(out, RECORD_ATTRIBUTE, name.len + 1 + value.len);
	if (at == NULL)
		return;
	at = put(at, name);
	*at++ = '=';
	record_stop(out, put(at, value));
}

/* Bytes of type and length, 0 when more are needed, -EBADMSG. */
static int header_read(struct str in, int *type_r, size_t *len_r)
{
	size_t len = 0;
	for (size_t i = 1; i < in.len && i < HEADER_MAX; i++) {
		size_t byte = (unsigned char)in.p[i];
		len |= (byte & 127) << (7 * (i - 1));
		if (len > RECORD_DATA_MAX)
			return -EBADMSG;
		if ((byte & 128) == 0) {
			*type_r = (unsigned char)in.p[0];
			*len_r = len;
			return (int)i + 1;
		}
	}
	return in.len >= HEADER_MAX ? -EBADMSG : 0;
}

int record_read(struct str *in, int *type_r, struct str *data_r)
{
	int type = 0;
	size_t len = 0;
	int header = header_read(*in, &type, &len);
	if (header <= 0)
		return header;
	if (in->len - (size_t)header < len)
		return 0;
	*type_r = type;
	*data_r = str_slice(*in, (size_t)header, (size_t)header + len);
	*in = str_skip(*in, (size_t)header + len);
	return 1;
}

void record_reader_init(struct record_reader *r, int fd, off_t offset)
{
	*r = (struct record_reader){.fd = fd,
	    .offset = offset,
	    .last_offset = offset,
	    .window_at = offset,
	    .size = INT64_MAX,
	    .window = BUF_INIT(WINDOW_MAX)};
}

void record_reader_free(struct record_reader *r)
{
	buf_free(&r->window);
}

void record_reader_seek(struct record_reader *r, off_t offset)
{
	r->offset = offset;
}

/* One read at the end of the window. False: nothing came, *error_r says why or is 0. */
static bool read_more(struct record_reader *r, int *error_r)
{
	off_t at = r->window_at + (off_t)r->window.len;
	size_t chunk = r->window.size == 0 ? FIRST_READ : WINDOW;
	if (r->size - at < (off_t)chunk)
		chunk = r->size > at ? (size_t)(r->size - at) : 0;
	char *room = buf_reserve(&r->window, chunk);
	ssize_t done = room == NULL ? -ENOMEM
	    : chunk == 0            ? 0
				    : file_read_at(r->fd, room, chunk, at);
	if (done > 0)
		buf_advance(&r->window, (size_t)done);
	*error_r = done < 0 ? (int)done : 0;
	return done > 0;
}

static bool reaches_end(const struct record_reader *r)
{
	return r->window_at + (off_t)r->window.len >= r->size;
}

/* What the window has from r->offset on. */
static struct str at_hand(const struct record_reader *r)
{
	off_t at = r->offset - r->window_at;
	return at < 0 || at > (off_t)r->window.len
	    ? STR_EMPTY
	    : str_skip(buf_str(&r->window), (size_t)at);
}

/* Reads until the window has `need` bytes from r->offset on, or the file ends. */
static int fill(struct record_reader *r, size_t need)
{
	int error = 0;
	off_t at = r->offset - r->window_at;
	if (at < 0 || at > (off_t)r->window.len) {
		buf_clear(&r->window);
		r->window_at = r->offset;
		at = 0;
	}
	/* A window that has all of the rest stays where it is: somebody may go back. */
	if (!reaches_end(r)) {
		buf_consume(&r->window, (size_t)at);
		r->window_at = r->offset;
		at = 0;
	}
	while (r->window.len - (size_t)at < need && read_more(r, &error))
		continue;
	return error;
}

/* The bytes of the file at r->offset, at least `need` of them unless the file ends. */
static int look(struct record_reader *r, size_t need, struct str *bytes_r)
{
	int error = 0;
	*bytes_r = at_hand(r);
	if (bytes_r->len < need) {
		error = fill(r, need);
		*bytes_r = at_hand(r);
	}
	return error;
}

int record_reader_peek(struct record_reader *r, char *type_r)
{
	struct str bytes = STR_EMPTY;
	int error = look(r, 1, &bytes);
	if (bytes.len > 0)
		*type_r = bytes.p[0];
	return error;
}

int record_reader_next(struct record_reader *r, int *type_r, struct str *data_r)
{
	struct str bytes, rest;
	int result = 0;
	for (size_t need = 1; result == 0; need = bytes.len + 1) {
		int error = look(r, need, &bytes);
		if (error < 0)
			return error;
		if (bytes.len < need)
			return bytes.len == 0 ? 0 : -EBADMSG;
		rest = bytes;
		result = record_read(&rest, type_r, data_r);
	}
	if (result < 0)
		return result;
	r->last_offset = r->offset;
	r->offset += (off_t)(bytes.len - rest.len);
	return 1;
}
