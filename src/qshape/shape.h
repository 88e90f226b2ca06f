/*
 * The table of qshape: for each domain how many recipients, or messages, are how old. One
 * caller; memory grows with the number of domains. A row of a parent domain, with a dot
 * in front, counts what its subdomains have.
 */
#ifndef QSHAPE_SHAPE_H
#define QSHAPE_SHAPE_H

#include <stdio.h>
#include "base/str.h"

#define SHAPE_BUCKETS_MAX 100

struct shape_options {
	bool parents;           /* count them too */
	size_t min_subdomains;  /* a parent with fewer rows right below it is not shown */
	size_t buckets;         /* 1 to SHAPE_BUCKETS_MAX; the last has no end */
	int64_t bucket_minutes; /* of the first one, > 0 */
	bool linear;            /* all are as long; else each ends at twice the age */
	size_t width;           /* of a line */
};

struct shape;

struct shape *shape_new(const struct shape_options *o);
void shape_free(struct shape *s);
void shape_count(struct shape *s, struct str domain, int64_t age_seconds);
/* Most first, equal ones by length, then by name. */
void shape_print(FILE *out, const struct shape *s);

#endif
