/*
 * The text form of fixed-string tables: "key white space value", "quoted keys", logical
 * lines; and of alias files: "name: value". Warnings name file and line, as postmap's do.
 */
#ifndef TABLE_SOURCE_H
#define TABLE_SOURCE_H

#include <stdbool.h>
#include "base/buf.h"

enum source_format { SOURCE_MAP, SOURCE_ALIASES };
enum source_duplicates {
	SOURCE_DUPLICATES_WARN,
	SOURCE_DUPLICATES_QUIET,
	SOURCE_DUPLICATES_REPLACE
};

struct table_source {
	const char *path; /* of the text, or its name in warnings when `text` is given */
	struct str text;  /* p not NULL: the text itself, in place of the file */
	enum source_format format;
	enum source_duplicates duplicates;
	/* What is kept of an alias's value; NULL: blanks are put in order. */
	void (*tidy)(struct buf *out, struct str value);
	bool fold;
	bool with_nul; /* keys and values end in a NUL (lmdb, cdb; postmap -N) */
	bool
	    values_are_files; /* names of files, whose content, in base64, is the value */
	bool incremental;     /* add to an existing index */
	bool default_mode; /* index gets 0644 less umask; else the source file's mode */
};

#define SOURCE_SIZE_MAX ((size_t)1 << 30)

/* One call per entry, key folded as asked; return false to stop. False: unreadable file
 * (reason in `error`), or stopped. Malformed lines are warned about and skipped. */
MUST_USE bool table_source_read(const struct table_source *source,
    bool (*entry)(void *context, struct str key, struct str value, unsigned line),
    void *context, struct buf *error);
/* The same on text in memory. */
MUST_USE bool table_source_parse(const struct table_source *source, struct str text,
    bool (*entry)(void *context, struct str key, struct str value, unsigned line),
    void *context);

/* Lower case as Postfix folds keys: ICU case folding for valid UTF-8, ASCII otherwise. */
void table_fold(struct buf *out, struct str key);

#endif
