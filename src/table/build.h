/* What drivers that build a file from text have in common. Inside src/table only. */
#ifndef TABLE_BUILD_H
#define TABLE_BUILD_H

#include "table/source.h"

/* The mode that the file gets, and how many bytes of text come. */
unsigned build_mode(const struct table_source *source, size_t *size_r);

#endif
