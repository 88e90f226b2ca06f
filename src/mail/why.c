#include "mail/why.h"

#include <stdarg.h>
#include <stdlib.h>

/* A longer text is cut, not lost: a reason is worth most at its beginning. */
#define FORMAT_MAX (64 * 1024)

void why_init(struct why *w)
{
	*w = (struct why){.text = BUF_INIT(WHY_TEXT_MAX),
	    .diag_type = BUF_INIT(64),
	    .diag_text = BUF_INIT(WHY_TEXT_MAX),
	    .mta_name = BUF_INIT(256)};
}

void why_free(struct why *w)
{
	buf_free(&w->text);
	buf_free(&w->diag_type);
	buf_free(&w->diag_text);
	buf_free(&w->mta_name);
	w->status[0] = '\0';
}

void why_clear(struct why *w)
{
	buf_clear(&w->text);
	buf_clear(&w->diag_type);
	buf_clear(&w->diag_text);
	buf_clear(&w->mta_name);
	w->status[0] = '\0';
}

/* Replaces `out`; control bytes become '?', so that no reason can break a line of a log,
 * a reply or a queue record. */
static void set_text(struct buf *out, struct str text)
{
	buf_clear(out);
	text = str_slice(text, 0, out->ceiling);
	char *to = buf_reserve(out, text.len);
	if (to == NULL)
		return;
	for (size_t i = 0; i < text.len; i++) {
		unsigned char c = (unsigned char)text.p[i];
		to[i] = c < 32 || c == 127 ? '?' : text.p[i];
	}
	buf_advance(out, text.len);
}

void why_copy(struct why *to, const struct why *from)
{
	if (to == from)
		return;
	memcpy(to->status, from->status, sizeof(to->status));
	set_text(&to->text, buf_str(&from->text));
	set_text(&to->diag_type, buf_str(&from->diag_type));
	set_text(&to->diag_text, buf_str(&from->diag_text));
	set_text(&to->mta_name, buf_str(&from->mta_name));
}

static void set_status(struct why *w, char class, const char *status)
{
	(void)snprintf(
	    w->status, sizeof(w->status), "%s", status[0] != '\0' ? status : "4.0.0");
	w->status[0] = class;
}

static void fill(struct why *w, const char *format, va_list args) PRINTF_LIKE(2, 0);
static void fill(struct why *w, const char *format, va_list args)
{
	CLEANUP(buf_free) struct buf text = BUF_INIT(FORMAT_MAX);
	buf_vprintf(&text, format, args);
	set_text(&w->text, buf_str(&text));
	buf_clear(&w->diag_type);
	buf_clear(&w->diag_text);
	buf_clear(&w->mta_name);
}

bool why_later(struct why *w, const char *status, const char *format, ...)
{
	if (w == NULL)
		return false;
	va_list args;
	va_start(args, format);
	fill(w, format, args);
	va_end(args);
	set_status(w, '4', status);
	return false;
}

bool why_never(struct why *w, const char *status, const char *format, ...)
{
	if (w == NULL)
		return false;
	va_list args;
	va_start(args, format);
	fill(w, format, args);
	va_end(args);
	set_status(w, '5', status);
	return false;
}

bool why_system(struct why *w, int error, const char *format, ...)
{
	if (w == NULL)
		return false;
	CLEANUP(buf_free) struct buf text = BUF_INIT(FORMAT_MAX);
	va_list args;
	va_start(args, format);
	buf_vprintf(&text, format, args);
	va_end(args);
	return why_later(
	    w, "4.3.0", "%.*s: %s", STR_ARG(buf_str(&text)), strerror(abs(error)));
}

void why_remote(struct why *w, struct str mta_name, struct str reply)
{
	if (w == NULL)
		return;
	set_text(&w->diag_type, STR("smtp"));
	set_text(&w->diag_text, reply);
	set_text(&w->mta_name, mta_name);
}

bool why_is_later(const struct why *w)
{
	return w->status[0] == '4';
}

bool why_is_set(const struct why *w)
{
	return w->status[0] != '\0';
}

void why_soften(struct why *w)
{
	if (w->status[0] == '5')
		w->status[0] = '4';
}
