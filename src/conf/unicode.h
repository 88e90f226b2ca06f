/*
 * ICU's library, for the few that meet text that is not ASCII. It is loaded at the first
 * such text: linked, it and what it needs would take half of each program's start and a
 * quarter of each fork. Where it is missing the program cannot work: fatal.
 *
 * Any thread, any stack (loading takes 10 KB of it).
 */
#ifndef CONF_UNICODE_H
#define CONF_UNICODE_H

#include <unicode/ucasemap.h>
#include <unicode/uidna.h>

/* Field, and ICU's function with its own type. */
#define UNICODE_FUNCTIONS(F)                     \
	F(case_open, ucasemap_open)              \
	F(case_fold_utf8, ucasemap_utf8FoldCase) \
	F(case_close, ucasemap_close)            \
	F(idna_open, uidna_openUTS46)            \
	F(idna_to_ascii, uidna_nameToASCII_UTF8) \
	F(idna_close, uidna_close)

#define UNICODE_POINTER(field, function) __typeof__(&function) field;
struct unicode {
	UNICODE_FUNCTIONS(UNICODE_POINTER)
};
#undef UNICODE_POINTER

/* Also for a process that will not see the library any more, before it enters a jail. */
const struct unicode *unicode_library(void);

#endif
