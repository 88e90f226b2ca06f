/*
 * header_checks(5) and body_checks: tables that are asked about each header field and
 * body line, and the actions that they answer with, parsed into a typed value. The caller
 * acts: cleanup can do all of them, the smtp client some (`allowed`).
 */
#ifndef MAIL_CONTENT_CHECKS_H
#define MAIL_CONTENT_CHECKS_H

#include "base/buf.h"
#include "mail/mime.h"
#include "table/table.h"

/* One row per action: name, what its text must be. */
#define CONTENT_ACTIONS(A)                                    \
	A(CONTENT_DUNNO, "DUNNO", CONTENT_TEXT_ANY)           \
	A(CONTENT_OK, "OK", CONTENT_TEXT_ANY)                 \
	A(CONTENT_BCC, "BCC", CONTENT_TEXT_ADDRESS)           \
	A(CONTENT_DISCARD, "DISCARD", CONTENT_TEXT_ANY)       \
	A(CONTENT_FILTER, "FILTER", CONTENT_TEXT_FILTER)      \
	A(CONTENT_HOLD, "HOLD", CONTENT_TEXT_ANY)             \
	A(CONTENT_IGNORE, "IGNORE", CONTENT_TEXT_ANY)         \
	A(CONTENT_INFO, "INFO", CONTENT_TEXT_ANY)             \
	A(CONTENT_PASS, "PASS", CONTENT_TEXT_ANY)             \
	A(CONTENT_PREPEND, "PREPEND", CONTENT_TEXT_LINE)      \
	A(CONTENT_REDIRECT, "REDIRECT", CONTENT_TEXT_ADDRESS) \
	A(CONTENT_REJECT, "REJECT", CONTENT_TEXT_ANY)         \
	A(CONTENT_REPLACE, "REPLACE", CONTENT_TEXT_LINE)      \
	A(CONTENT_STRIP, "STRIP", CONTENT_TEXT_ANY)           \
	A(CONTENT_WARN, "WARN", CONTENT_TEXT_ANY)
enum content_action_kind {
#define CONTENT_ACTION_ENUM(kind, name, text) kind,
	CONTENT_ACTIONS(CONTENT_ACTION_ENUM)
#undef CONTENT_ACTION_ENUM
};

enum content_text {
	CONTENT_TEXT_ANY,     /* anything, also nothing */
	CONTENT_TEXT_ADDRESS, /* user@domain */
	CONTENT_TEXT_FILTER,  /* transport:destination */
	CONTENT_TEXT_LINE,    /* not empty; about a header: "name: value" */
};

#define CONTENT_ALL (~0u)
/* What makes sense on output (smtp_header_checks). */
#define CONTENT_OUTPUT                                                           \
	(1u << CONTENT_DUNNO | 1u << CONTENT_OK | 1u << CONTENT_IGNORE |         \
	    1u << CONTENT_INFO | 1u << CONTENT_PREPEND | 1u << CONTENT_REPLACE | \
	    1u << CONTENT_STRIP | 1u << CONTENT_WARN)

struct content_action {
	enum content_action_kind kind;
	struct str text; /* behind the name, blanks trimmed; lives in the table's value */
};

/* `value`: what a table said. `title`: of the table, for the warning when the action is
 * unknown, not allowed, or its text is wrong; then it counts as DUNNO. */
struct content_action content_action_parse(
    struct str value, unsigned allowed, bool header, const char *title);

/* Word of the log line ("reject", "warning", "strip"). */
const char *content_action_word(enum content_action_kind kind);

/* A table: `title` is the parameter's name, `list` may be empty. */
struct content_check_table {
	const char *title, *list;
};

struct content_checks_options {
	struct content_check_table header, mime, nested, body;
	unsigned allowed; /* bits 1u << kind */
};

struct content_checks;
struct content_checks *content_checks_open(const struct content_checks_options *options);
void content_checks_close(struct content_checks *c); /* NULL is fine */
bool content_checks_empty(const struct content_checks *c);
bool content_checks_body_empty(const struct content_checks *c);
bool content_checks_changed(struct content_checks *c);
/* The parameter that names the table, for log lines. */
const char *content_checks_title(
    const struct content_checks *c, enum mime_class field_class);
const char *content_checks_body_title(const struct content_checks *c);

/*
 * Asks about a field (lines with LF between) or a body line (empty ones are never asked).
 * `value` holds the answer; *action_r points into it, and is DUNNO when no table has one.
 * May suspend the fiber. False: a table did not answer (logged): callers defer the
 * message.
 */
MUST_USE bool content_checks_header(struct content_checks *c, enum mime_class field_class,
    struct str field, struct buf *value, struct content_action *action_r);
MUST_USE bool content_checks_body(struct content_checks *c, struct str line,
    struct buf *value, struct content_action *action_r);

#endif
