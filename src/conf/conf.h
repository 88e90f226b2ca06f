/*
 * The loaded configuration: main.cf of one directory, the -o overrides of a master.cf row
 * or command line on top, defaults below. postconf(5) rules: "name = value", comment
 * lines, continuation by leading white space, last definition wins; $name ${name}
 * $(name) $$ ${name?text} ${name:text} ${name?{a}:{b}} ${{x} == {y} ? {a} : {b}} expanded
 * recursively (an endless recursion is an error).
 *
 * A process loads once, at start; a change is seen by the next process (or generation
 * after reload). Programs do not ask for values by name: the generated struct of their
 * parameters (from the files in params/) is filled once by conf_fill. Values by computed
 * name
 * ("<transport>_destination_concurrency_limit") go through conf_get_*.
 *
 * Errors are written for an administrator into `error`: "/etc/postfix/main.cf, line 12:
 * missing '=' after attribute name: "foo"".
 */
#ifndef CONF_CONF_H
#define CONF_CONF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/buf.h"

struct conf;

/* Generated rows. */
enum param_type {
	PARAM_STRING, /* expanded */
	PARAM_RAW,    /* not expanded when filled ($name stays) */
	PARAM_INT,
	PARAM_LONG,
	PARAM_TIME, /* seconds in the struct; text with suffix s m h d w, `unit` if none
		     */
	PARAM_BOOL, /* yes no (also after expansion) */
};

enum param_status {
	PARAM_HONOURED,
	PARAM_NO_EFFECT, /* accepted, no effect yet: said once when set */
	PARAM_OBSOLETE,  /* known to old releases, never has effect */
	PARAM_READ_ONLY, /* process_name, ... */
	PARAM_OLD_NAME,  /* counts through the default of its successor; not listed */
};

struct param {
	const char *name;
	enum param_type type;
	enum param_status status;
	const char *initial; /* default, unexpanded; computed ones: see conf_computed */
	int64_t min,
	    max;       /* numbers (INT64_MIN: none), length of strings; max 0: no limit */
	char unit;     /* PARAM_TIME */
	size_t offset; /* into the program's struct (const char *, int64_t or bool) */
};

/* All 958 known names, sorted; for postconf and for the "no effect yet" warnings. */
extern const struct param param_all[];
extern const size_t param_all_count;
const struct param *param_find(struct str name); /* NULL: unknown */
/* Families of names: "_destination_rate_delay" stands for
 * <transport>_destination_rate_delay. */
extern const struct param param_families[];
extern const size_t param_families_count;
const struct param *param_family_find(struct str name); /* NULL: of no family */

#define CONF_VALUE_MAX 1000000 /* bytes of one expanded value */

/* Reads DIRECTORY/main.cf. NULL on error (text in `error`). `directory` NULL: all
 * defaults. */
struct conf *conf_load(const char *directory, struct buf *error);
void conf_free(struct conf *c);
const char *conf_directory(const struct conf *c);

/* Overrides "name=value" (text of -o), strongest last. False: no '='. */
MUST_USE bool conf_override(struct conf *c, struct str assignment);
/* Values that the program computes before filling: process_name, service_name, myhostname
 * default, ... They are weaker than main.cf. */
void conf_computed(struct conf *c, const char *name, struct str value);

/* Fills the struct at `values` by a generated table (ends with name NULL). Strings live
 * as long as the conf. False: first problem in `error`. */
MUST_USE bool conf_fill(
    struct conf *c, const struct param *table, void *values, struct buf *error);

/* The raw text as set, or NULL; with `or_default` the built-in default text. */
const char *conf_raw(struct conf *c, struct str name, bool or_default);
bool conf_is_set(struct conf *c, struct str name); /* in main.cf or by override */
/* Expands any text ("$mydomain, localhost") with this configuration. */
MUST_USE bool conf_expand(
    struct conf *c, struct str text, struct buf *out, struct buf *error);
/* The expanded value by name; unknown and unset names give false, nothing added. */
MUST_USE bool conf_get(struct conf *c, struct str name, struct buf *out);
/* Numbers by computed name: the value when set, else `fallback`; false: bad syntax. */
MUST_USE bool conf_get_int(struct conf *c, struct str name, int64_t fallback, int64_t *r);
MUST_USE bool conf_get_time(
    struct conf *c, struct str name, char unit, int64_t fallback, int64_t *seconds_r);

/* Names set in main.cf that are PARAM_NO_EFFECT or unknown (and not used by another
 * value): one call each, in file order. */
void conf_each_without_effect(
    struct conf *c, void (*call)(const char *name, bool unknown));
/* All names set in main.cf, in file order, with their raw text and line. */
void conf_each_set(struct conf *c,
    void (*call)(void *, const char *name, const char *raw, unsigned line),
    void *argument);

/* "300s", "5d", "1h"; plain digits use `unit`. Seconds; false: bad syntax or overflow. */
MUST_USE bool conf_parse_time(struct str text, char unit, int64_t *seconds_r);
/* Compatibility levels "0" "2" "3.6" "3.11": for ==level and friends. */
MUST_USE bool conf_parse_level(struct str text, int64_t *level_r);

#endif
