#include "qshape/shape.h"

#include <stdlib.h>
#include "base/map.h"
#include "base/memory.h"

#define NUMBER_MAX   24
#define COLUMN_MIN   2
#define DOMAIN_WIDTH 18 /* at least, however many buckets */

struct row {
	size_t total, subdomains;
	size_t ages[SHAPE_BUCKETS_MAX];
};

struct shape {
	struct shape_options options;
	struct row all;
	struct map *rows;
};

struct shape *shape_new(const struct shape_options *o)
{
	struct shape *s = memory_alloc(sizeof(*s));
	s->options = *o;
	s->rows = map_new();
	return s;
}

void shape_free(struct shape *s)
{
	size_t at = 0;
	struct str name;
	void *row;
	while (map_next(s->rows, &at, &name, &row))
		free(row);
	map_free(s->rows);
	free(s);
}

/* Minutes where a bucket ends. */
static int64_t end_of(const struct shape_options *o, size_t bucket)
{
	int64_t end = o->bucket_minutes;
	for (size_t i = 0; i < bucket && end < INT32_MAX; i++)
		end += o->linear ? o->bucket_minutes : end;
	return end;
}

static size_t bucket_of(const struct shape_options *o, int64_t age)
{
	size_t bucket = 0;
	while (bucket < o->buckets - 1 && age > end_of(o, bucket) * 60)
		bucket++;
	return bucket;
}

static void add(struct row *r, size_t bucket)
{
	r->total++;
	r->ages[bucket]++;
}

/* "b.example" with its dot in front for "a.b.example", and for ".a.b.example"; false:
 * what would come is a top level. */
static bool parent_of(struct str name, struct str *parent_r)
{
	struct str rest = str_skip(name, name.len > 0 && name.p[0] == '.');
	ptrdiff_t dot = str_find(rest, '.');
	if (dot < 0)
		return false;
	rest = str_skip(rest, (size_t)dot);
	if (rest.len < 2 || str_find(str_skip(rest, 1), '.') < 0)
		return false;
	*parent_r = rest;
	return true;
}

static void count_upwards(struct shape *s, struct str name, size_t bucket)
{
	bool fresh = false;
	do {
		struct row *r = map_get(s->rows, name);
		bool below_is_fresh = fresh;
		fresh = r == NULL;
		if (fresh) {
			r = memory_alloc(sizeof(*r));
			(void)map_set(s->rows, name, r);
		}
		r->subdomains += below_is_fresh;
		add(r, bucket);
	} while (s->options.parents && parent_of(name, &name));
}

void shape_count(struct shape *s, struct str domain, int64_t age_seconds)
{
	size_t bucket = bucket_of(&s->options, age_seconds);
	add(&s->all, bucket);
	count_upwards(s, domain, bucket);
}

struct shown {
	struct str name;
	const struct row *row;
};

static int compare(const void *left, const void *right)
{
	const struct shown *a = left, *b = right;
	if (a->row->total != b->row->total)
		return a->row->total < b->row->total ? 1 : -1;
	if (a->name.len != b->name.len)
		return a->name.len > b->name.len ? 1 : -1;
	return str_compare(a->name, b->name);
}

/* A column is as wide as its heading and its sum, which is its largest number. */
static int column_width(const char *heading, size_t sum)
{
	char number[NUMBER_MAX];
	int width = snprintf(number, sizeof(number), "%zu", sum);
	int words = (int)strlen(heading);
	width = width > words ? width : words;
	return width > COLUMN_MIN ? width : COLUMN_MIN;
}

struct layout {
	char headings[SHAPE_BUCKETS_MAX][NUMBER_MAX];
	int widths[SHAPE_BUCKETS_MAX];
	int total, domain;
};

static void lay_out(const struct shape *s, struct layout *l)
{
	const struct shape_options *o = &s->options;
	l->total = column_width("T", s->all.total);
	l->domain = (int)o->width - l->total - 1;
	for (size_t i = 0; i < o->buckets; i++) {
		bool last = i == o->buckets - 1;
		int64_t end = end_of(o, last && i > 0 ? i - 1 : i);
		(void)snprintf(l->headings[i], NUMBER_MAX, "%lld%s", (long long)end,
		    last ? "+" : "");
		l->widths[i] = column_width(l->headings[i], s->all.ages[i]);
		l->domain -= l->widths[i] + 1;
	}
	if (l->domain < DOMAIN_WIDTH)
		l->domain = DOMAIN_WIDTH;
}

/* Of a long name the end is shown. */
static void print_row(
    FILE *out, const struct shape *s, const struct layout *l, const struct shown *row)
{
	int room = l->domain, len = (int)row->name.len;
	if (len > room)
		(void)fprintf(out, "+%.*s", room - 1, row->name.p + len - (room - 1));
	else
		(void)fprintf(out, "%*.*s", room, len, row->name.p);
	(void)fprintf(out, " %*zu", l->total, row->row->total);
	for (size_t i = 0; i < s->options.buckets; i++)
		(void)fprintf(out, " %*zu", l->widths[i], row->row->ages[i]);
	(void)fputc('\n', out);
}

static bool is_shown(const struct shape *s, const struct shown *row)
{
	return row->name.p[0] != '.' || row->row->subdomains >= s->options.min_subdomains;
}

void shape_print(FILE *out, const struct shape *s)
{
	struct layout l;
	size_t at = 0, count = 0;
	struct shown row, *rows = memory_alloc_array(map_count(s->rows) + 1, sizeof(row));
	void *value;
	lay_out(s, &l);
	(void)fprintf(out, "%*s %*s", l.domain, "", l.total, "T");
	for (size_t i = 0; i < s->options.buckets; i++)
		(void)fprintf(out, " %*s", l.widths[i], l.headings[i]);
	(void)fputc('\n', out);
	print_row(out, s, &l, &(struct shown){.name = STR("TOTAL"), .row = &s->all});
	while (map_next(s->rows, &at, &row.name, &value)) {
		row.row = value;
		if (row.name.len > 0 && is_shown(s, &row))
			rows[count++] = row;
	}
	qsort(rows, count, sizeof(*rows), compare);
	for (size_t i = 0; i < count; i++)
		print_row(out, s, &l, &rows[i]);
	free(rows);
}
