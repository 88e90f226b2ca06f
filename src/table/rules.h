/*
 * Tables of rules that are tried one after the other (regexp, cidr): their text, from a
 * file or inline in the table's name as {{rule}, {rule}}, with if ... endif around rules.
 * A line that is wrong is warned about ("regexp map /etc/x, line 3: ...") and skipped.
 */
#ifndef TABLE_RULES_H
#define TABLE_RULES_H

#include <stdbool.h>
#include "base/buf.h"

struct rule {
	unsigned line;
	bool is_if;
	bool negate;   /* !pattern */
	size_t end;    /* of an if: the first rule behind its endif */
	void *pattern; /* the driver's */
	char *result;  /* text, owned; NULL for an if */
};

struct rules;

struct rule_kind {
	const char *title; /* "regexp map" */
	/* Parses "[!]pattern [result]"; `is_if` is set, and then there is no result.
	 * False: the line is skipped; it has been warned about by rule_warn. */
	bool (*parse)(const struct rules *r, struct str text, struct rule *rule);
	void (*free_pattern)(void *pattern);
};

/* `name`: a path, or {{rule}, ...}. NULL: reason in `error`. */
struct rules *rules_load(
    const struct rule_kind *kind, struct str name, unsigned flags, struct buf *error);
void rules_free(struct rules *r); /* NULL is fine */
unsigned rules_flags(const struct rules *r);
const struct rule_kind *rules_kind(const struct rules *r);

void rule_warn(const struct rules *r, const struct rule *rule, const char *format, ...)
    PRINTF_LIKE(3, 4);

/* The first rule that holds: `matches` tells whether the pattern of one does, negation
 * not counted. NULL: none. */
const struct rule *rules_find(const struct rules *r,
    bool (*matches)(const struct rule *rule, void *context), void *context);

#endif
