#include "mail/mime_convert.h"

#include "base/memory.h"
#include "mail/header.h"

/* A line is broken before what would begin behind this column: with the longest piece
 * and the '=' that is 76 (RFC 2045 6.7 (5)). */
#define BREAK_COLUMN 73
#define LINE_MAX     80

struct mime_convert {
	struct mime *input;
	const struct mime_events *events;
	void *context;
	bool encoding_seen; /* a Content-Transfer-Encoding was taken out of this header */
	bool quoting;       /* this part's body */
	int64_t offset;     /* in the converted body of a part */
	char blank; /* at the end of what came of a line: '\0', or not written yet */
	struct buf line;
};

static bool needs_conversion(enum mime_encoding encoding)
{
	return encoding == MIME_8BIT || encoding == MIME_BINARY;
}

static bool is_encoding_field(struct str field)
{
	struct str name = str_slice(field, 0, header_name_length(field));
	return header_find(name)->id == HEADER_CONTENT_TRANSFER_ENCODING;
}

static void on_field(void *context, enum mime_class class, struct str field)
{
	struct mime_convert *c = context;
	if (is_encoding_field(field) && needs_conversion(mime_part_encoding(c->input)))
		c->encoding_seen = true;
	else
		c->events->field(c->context, class, field);
}

/* What a part holds decides how its encoding is called now: only bodies can be quoted
 * (RFC 2045 6.4). A fragment of a message stays as it is, as quoting would spoil it. */
static void on_header_end(void *context, bool primary)
{
	struct mime_convert *c = context;
	enum mime_type type = mime_part_type(c->input);
	c->quoting =
	    needs_conversion(mime_part_encoding(c->input)) && type == MIME_TYPE_OTHER;
	c->blank = '\0';
	if (c->encoding_seen)
		c->events->field(c->context, MIME_HEADER_MIME,
		    c->quoting ? STR("Content-Transfer-Encoding: quoted-printable")
			       : STR("Content-Transfer-Encoding: 7bit"));
	c->encoding_seen = false;
	c->events->header_end(c->context, primary);
}

static void give_line(struct mime_convert *c, bool whole)
{
	struct mime_text text = {
	    .line = buf_str(&c->line), .whole = whole, .offset = c->offset};
	c->offset += (int64_t)text.line.len + (whole ? 1 : 0);
	c->events->text(c->context, &text);
	buf_clear(&c->line);
}

static void add_byte(struct mime_convert *c, char byte, bool quoted)
{
	if (c->line.len >= BREAK_COLUMN) {
		buf_add_char(&c->line, '=');
		give_line(c, true);
	}
	if (quoted)
		buf_printf(&c->line, "=%02X", (unsigned char)byte);
	else
		buf_add_char(&c->line, byte);
}

static bool must_quote(char byte)
{
	return byte == '=' || (byte != '\t' && !ascii_is_print(byte));
}

/* A blank is written once it is known whether the line ends behind it (RFC 2045 6.7
 * (3)). */
static void quote(struct mime_convert *c, const struct mime_text *text)
{
	for (size_t i = 0; i < text->line.len; i++) {
		char byte = text->line.p[i];
		if (c->blank != '\0')
			add_byte(c, c->blank, false);
		c->blank = byte == ' ' || byte == '\t' ? byte : '\0';
		if (c->blank == '\0')
			add_byte(c, byte, must_quote(byte));
	}
	if (!text->whole)
		return;
	if (c->blank != '\0')
		add_byte(c, c->blank, true);
	c->blank = '\0';
	give_line(c, true);
}

static void on_text(void *context, const struct mime_text *text)
{
	struct mime_convert *c = context;
	struct mime_text given = *text;
	if (text->separates || text->boundary) {
		mime_convert_flush(c);
		c->quoting = c->quoting && text->separates;
		c->offset = text->offset;
	}
	if (c->quoting && !text->separates) {
		quote(c, text);
		return;
	}
	given.offset = c->offset;
	c->offset += (int64_t)given.line.len + (given.whole ? 1 : 0);
	c->events->text(c->context, &given);
}

static void on_trouble(void *context, enum mime_trouble trouble, struct str excerpt)
{
	struct mime_convert *c = context;
	if (c->events->trouble != NULL)
		c->events->trouble(c->context, trouble, excerpt);
}

static const struct mime_events taken = {on_field, on_header_end, on_text, on_trouble};

struct mime_convert *mime_convert_new(
    const struct mime_options *options, const struct mime_events *events, void *context)
{
	struct mime_convert *c = memory_alloc(sizeof(*c));
	c->events = events;
	c->context = context;
	buf_init(&c->line, LINE_MAX);
	c->input = mime_new(options, &taken, c);
	return c;
}

void mime_convert_free(struct mime_convert *c)
{
	if (c == NULL)
		return;
	mime_free(c->input);
	buf_free(&c->line);
	free(c);
}

struct mime *mime_convert_input(struct mime_convert *c)
{
	return c->input;
}

void mime_convert_flush(struct mime_convert *c)
{
	if (c->blank != '\0')
		add_byte(c, c->blank, true);
	c->blank = '\0';
	if (c->line.len > 0)
		give_line(c, false);
}
