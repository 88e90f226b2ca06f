#include "mail/reply.h"

#include <errno.h>
#include "mail/dsn.h"

void reply_init(struct reply *r)
{
	*r = (struct reply){
	    .text = BUF_INIT(REPLY_TEXT_MAX), .lines = BUF_INIT(REPLY_TEXT_MAX)};
}

void reply_free(struct reply *r)
{
	buf_free(&r->text);
	buf_free(&r->lines);
	reply_clear(r);
}

void reply_clear(struct reply *r)
{
	r->code = 0;
	r->count = 0;
	r->complete = false;
	r->status[0] = '\0';
	buf_clear(&r->text);
	buf_clear(&r->lines);
}

/* As much as fits; a chatty server must not make its reply unreadable. */
static void add_clean(struct buf *out, struct str line, char separator)
{
	size_t room = out->ceiling - out->len;
	if (out->len > 0 && room > 0) {
		buf_add_char(out, separator);
		room--;
	}
	line = str_slice(line, 0, room);
	for (size_t i = 0; i < line.len; i++)
		buf_add_char(out, ascii_is_print(line.p[i]) ? line.p[i] : '?');
}

static void take_status(struct reply *r, struct str text)
{
	size_t length = dsn_status_at(text);
	r->status[0] = '\0';
	if (length == 0 || text.p[0] - '0' != r->code / 100)
		return;
	memcpy(r->status, text.p, length);
	r->status[length] = '\0';
}

int reply_add_line(struct reply *r, struct str line)
{
	if (r->complete)
		reply_clear(r);
	if (line.len < 3 || !str_is_digits(str_slice(line, 0, 3)) || line.p[0] < '2' ||
	    line.p[0] > '5' || r->count++ >= REPLY_LINES_MAX)
		return -EBADMSG;
	if (line.len > 3 && line.p[3] != ' ' && line.p[3] != '-')
		return -EBADMSG;
	r->code = (line.p[0] - '0') * 100 + (line.p[1] - '0') * 10 + (line.p[2] - '0');
	take_status(r, str_skip(line, 4));
	add_clean(&r->text, line, ' ');
	add_clean(&r->lines, line, '\n');
	r->complete = line.len == 3 || line.p[3] == ' ';
	return r->complete ? 0 : 1;
}

void reply_write(struct buf *out, int code, const char *status, struct str text)
{
	size_t length = dsn_status_at(text);
	struct str chosen = length > 0 ? str_slice(text, 0, length) : str_of(status);
	buf_add_i64(out, code);
	if (chosen.len > 0) {
		buf_add_char(out, ' ');
		buf_add_i64(out, code / 100);
		buf_add_str(out, str_skip(chosen, 1));
	}
	text = str_trim(str_skip(text, length));
	if (text.len > 0) {
		buf_add_char(out, ' ');
		buf_add_str(out, text);
	}
}
