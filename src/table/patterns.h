/*
 * What regexp: and pcre: have in common: "/pattern/flags result" rules, $1 in results,
 * and what is said about a rule that is wrong. Each brings its engine. Inside src/table
 * only.
 */
#ifndef TABLE_PATTERNS_H
#define TABLE_PATTERNS_H

#include "table/rules.h"
#include "table/table.h"

#define PATTERN_GROUPS_MAX 99

struct pattern_group {
	ptrdiff_t start; /* -1: took no part in the match */
	ptrdiff_t end;
};

enum pattern_match { PATTERN_NO, PATTERN_YES, PATTERN_TROUBLE };

struct pattern_engine {
	struct rule_kind rules;        /* title; patterns_parse, patterns_free */
	bool exceptions;               /* /main/!/except/ */
	unsigned flags;                /* when no letter stands behind the pattern */
	unsigned (*flag)(char letter); /* what the letter switches; 0: nothing */
	/* NULL: reason in `error`. *groups_r: how many parentheses. */
	void *(*compile)(
	    struct str text, unsigned flags, size_t *groups_r, struct buf *error);
	void (*free)(void *regex);
	/* What a whole search needs (a stack, say), or both NULL. */
	void *(*begin)(void);
	void (*end)(void *scratch);
	/* `count` entries of `groups` are filled: the whole match, then parentheses. With
	 * PATTERN_TROUBLE `error` says why; the rule does not fit then. */
	enum pattern_match (*match)(const void *regex, void *scratch, struct str key,
	    struct pattern_group *groups, size_t count, struct buf *error);
};

bool patterns_parse(const struct rules *r, struct str text, struct rule *rule);
void patterns_free(void *pattern);

/* The state is a struct rules. */
void patterns_close(void *state);
enum table_result patterns_lookup(
    void *state, struct str key, struct buf *value, struct buf *error);

#endif
