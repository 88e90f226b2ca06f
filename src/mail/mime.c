#include "mail/mime.h"

#include "base/memory.h"
#include "mail/header.h"
#include "mail/mime_field.h"

/* A multipart that we are inside of. */
struct level {
	struct level *outer;
	struct buf boundary;
	bool digest;
};

/* Of multiparts, Postfix allows two more than the parameter says. */
#define LEVELS_MORE 2u

struct mime {
	struct mime_options options;
	const struct mime_events *events;
	void *context;
	struct level *inner; /* innermost, or NULL */
	unsigned depth;
	bool in_header, in_line; /* in_line: pieces of this line have been seen */
	bool primary;            /* the header that is being read, or was read last */
	enum mime_class class;   /* of its fields that are not about MIME */
	struct buf field;
	enum mime_type type;
	enum mime_encoding encoding;
	int64_t offset;
	unsigned reported;
};

static const struct {
	enum mime_trouble trouble;
	const char *status, *text;
} troubles[] = {
    {MIME_TOO_DEEP, "5.6.0", "MIME nesting exceeds safety limit"},
    {MIME_8BIT_IN_HEADER, "5.6.0", "improper use of 8-bit data in message header"},
    {MIME_8BIT_IN_BODY, "5.6.0", "improper use of 8-bit data in message body"},
    {MIME_ENCODING_DOMAIN, "5.6.0", "invalid message/* or multipart/* encoding domain"},
    {MIME_HEADER_OPEN, "5.6.0", "message header was not terminated by empty line"},
};

const char *mime_trouble_text(enum mime_trouble trouble)
{
	for (size_t i = 0; i < ARRAY_SIZE(troubles); i++)
		if (troubles[i].trouble == trouble)
			return troubles[i].text;
	return "unknown";
}

const char *mime_trouble_status(enum mime_trouble trouble)
{
	for (size_t i = 0; i < ARRAY_SIZE(troubles); i++)
		if (troubles[i].trouble == trouble)
			return troubles[i].status;
	return "5.6.0";
}

/* The start of the header of a part, of an attached message, or of all. */
static void header_start(struct mime *m, enum mime_class class, enum mime_type type)
{
	m->in_header = true;
	m->primary = class == MIME_HEADER_PRIMARY;
	m->class = class;
	m->type = type;
	m->encoding = MIME_7BIT;
	m->offset = 0;
}

struct mime *mime_new(
    const struct mime_options *options, const struct mime_events *events, void *context)
{
	struct mime *m = memory_alloc(sizeof(*m));
	m->options = *options;
	m->events = events;
	m->context = context;
	buf_init(&m->field, options->header_limit + 1);
	header_start(m, MIME_HEADER_PRIMARY, MIME_TYPE_OTHER);
	return m;
}

static void leave(struct mime *m)
{
	struct level *level = m->inner;
	m->inner = level->outer;
	m->depth--;
	buf_free(&level->boundary);
	free(level);
}

void mime_free(struct mime *m)
{
	if (m == NULL)
		return;
	while (m->inner != NULL)
		leave(m);
	buf_free(&m->field);
	free(m);
}

static void report(struct mime *m, enum mime_trouble trouble, struct str excerpt)
{
	if ((m->reported & trouble) != 0 || m->events->trouble == NULL ||
	    (m->options.report & trouble) == 0)
		return;
	m->reported |= trouble;
	m->events->trouble(m->context, trouble, excerpt);
}

static void enter(struct mime *m, struct str boundary, bool digest, struct str excerpt)
{
	if (m->depth >= m->options.nesting_limit + LEVELS_MORE) {
		report(m, MIME_TOO_DEEP, excerpt);
		return;
	}
	struct level *level = memory_alloc(sizeof(*level));
	buf_init(&level->boundary, m->options.boundary_limit);
	buf_add_str(&level->boundary, str_slice(boundary, 0, m->options.boundary_limit));
	level->digest = digest;
	level->outer = m->inner;
	m->inner = level;
	m->depth++;
}

/* --- header --- */

static void note_type(struct mime *m, struct str field)
{
	struct mime_content_type content = {
	    .boundary = BUF_INIT(m->options.boundary_limit)};
	mime_parse_type(header_body(field), &content);
	m->type = content.type;
	if (content.type == MIME_TYPE_MULTIPART)
		enter(m, buf_str(&content.boundary), content.digest, field);
	buf_free(&content.boundary);
}

static void field_end(struct mime *m)
{
	struct str field = buf_str(&m->field);
	if (field.len == 0)
		return;
	const struct header_row *row =
	    header_find(str_slice(field, 0, header_name_length(field)));
	bool about_mime = (row->flags & HEADER_IS_MIME) != 0;
	if (!m->options.flat && row->id == HEADER_CONTENT_TYPE)
		note_type(m, field);
	if (!m->options.flat && row->id == HEADER_CONTENT_TRANSFER_ENCODING)
		m->encoding = mime_parse_encoding(header_body(field));
	if ((m->options.report & MIME_8BIT_IN_HEADER) != 0 && !str_is_ascii(field))
		report(m, MIME_8BIT_IN_HEADER, field);
	m->events->field(m->context, about_mime ? MIME_HEADER_MIME : m->class, field);
	buf_clear(&m->field);
}

/* Only identity encodings may hold other parts (RFC 2045 6.4). */
static void check_encoding(struct mime *m)
{
	if (m->type != MIME_TYPE_MULTIPART && m->type != MIME_TYPE_MESSAGE)
		return;
	if (m->encoding == MIME_BASE64)
		report(m, MIME_ENCODING_DOMAIN, STR("base64"));
	if (m->encoding == MIME_QUOTED_PRINTABLE)
		report(m, MIME_ENCODING_DOMAIN, STR("quoted-printable"));
}

/* Behind the last field: what kind of text follows? */
static void header_end(struct mime *m)
{
	field_end(m);
	m->in_header = false;
	m->offset = 0;
	m->events->header_end(m->context, m->primary);
	check_encoding(m);
}

static void give_text(struct mime *m, struct mime_text text)
{
	text.offset = m->offset;
	m->offset += (int64_t)text.line.len + (text.whole ? 1 : 0);
	m->events->text(m->context, &text);
}

static void body_line(struct mime *m, struct str piece, bool whole);

/* The header of an attached message follows at once. */
static void nested_header(struct mime *m)
{
	if (m->type != MIME_TYPE_MESSAGE || m->options.flat)
		return;
	header_start(m, MIME_HEADER_NESTED, MIME_TYPE_OTHER);
}

/* The line is no field: the header is over, with or without an empty line. */
static void no_field(struct mime *m, struct str piece, bool whole)
{
	bool empty = piece.len == 0 && whole;
	field_end(m);
	if (!empty && m->primary)
		report(m, MIME_HEADER_OPEN, piece);
	bool primary = m->primary;
	header_end(m);
	if (empty || primary)
		give_text(m,
		    (struct mime_text){.line = STR_EMPTY,
			.whole = true,
			.separates = true,
			.added = !empty});
	if (empty)
		nested_header(m);
	else
		body_line(m, piece, whole);
}

/* What is beyond the limit, or behind a NUL, is lost. */
static void extend_field(struct mime *m, const char *between, struct str piece)
{
	ptrdiff_t nul = str_find(piece, '\0');
	size_t limit = m->options.header_limit;
	if (m->field.len >= limit)
		return;
	buf_add_cstr(&m->field, between);
	piece = str_slice(piece, 0, nul < 0 ? piece.len : (size_t)nul);
	buf_add_str(&m->field, str_slice(piece, 0, limit - m->field.len));
}

static void header_line(struct mime *m, struct str piece, bool whole)
{
	bool folded = piece.len > 0 && (piece.p[0] == ' ' || piece.p[0] == '\t');
	if (m->in_line) {
		extend_field(m, "", piece);
	} else if (folded && m->field.len > 0) {
		extend_field(m, "\n", piece);
	} else if (header_name_length(piece) > 0) {
		field_end(m);
		extend_field(m, "", piece);
	} else {
		no_field(m, piece, whole);
	}
}

/* --- body --- */

/* The level whose boundary the line bears: its start is compared, as Postfix does. */
static struct level *find_boundary(const struct mime *m, struct str line)
{
	for (struct level *level = m->inner; level != NULL; level = level->outer)
		if (str_starts(str_skip(line, 2), buf_str(&level->boundary)))
			return level;
	return NULL;
}

static void boundary_line(
    struct mime *m, struct level *level, struct str line, bool whole)
{
	struct mime_text text = {.line = line, .whole = whole, .boundary = true};
	bool last = str_starts(str_skip(line, 2 + level->boundary.len), STR("--"));
	while (m->inner != level)
		leave(m);
	if (last) {
		leave(m);
		m->type = MIME_TYPE_OTHER;
		m->encoding = MIME_7BIT;
		m->offset = 0;
		give_text(m, text);
		return;
	}
	give_text(m, text);
	header_start(
	    m, MIME_HEADER_MIME, level->digest ? MIME_TYPE_MESSAGE : MIME_TYPE_OTHER);
}

/* Only what announces nothing must be free of 8-bit bytes. */
static bool watches_body(const struct mime *m)
{
	return (m->options.report & MIME_8BIT_IN_BODY) != 0 &&
	    (m->encoding == MIME_7BIT || m->encoding == MIME_ENCODING_OTHER);
}

static void body_line(struct mime *m, struct str piece, bool whole)
{
	if (!m->in_line && m->depth > 0 && str_starts(piece, STR("--"))) {
		struct level *level = find_boundary(m, piece);
		if (level != NULL) {
			boundary_line(m, level, piece, whole);
			return;
		}
	}
	if (watches_body(m) && !str_is_ascii(piece))
		report(m, MIME_8BIT_IN_BODY, piece);
	give_text(m, (struct mime_text){.line = piece, .whole = whole});
}

void mime_add_line(struct mime *m, struct str piece, bool whole)
{
	if (m->in_header)
		header_line(m, piece, whole);
	else
		body_line(m, piece, whole);
	m->in_line = !whole;
}

void mime_end_field(struct mime *m)
{
	if (m->in_header)
		field_end(m);
}

void mime_end(struct mime *m)
{
	if (m->in_header)
		header_end(m);
}

bool mime_rest_is_plain(const struct mime *m)
{
	bool header_follows = m->type == MIME_TYPE_MESSAGE && !m->options.flat;
	return !m->in_header && m->depth == 0 && !header_follows && !watches_body(m);
}

bool mime_field_announces_8bit(struct str field)
{
	struct str name = STR("Content-Transfer-Encoding");
	return str_starts_nocase(field, name) && header_name_length(field) == name.len &&
	    mime_parse_encoding(header_body(field)) == MIME_8BIT;
}

enum mime_type mime_part_type(const struct mime *m)
{
	return m->type;
}

enum mime_encoding mime_part_encoding(const struct mime *m)
{
	return m->encoding;
}
