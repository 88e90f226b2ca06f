/* conf_fill: the struct of a program from its generated table. */
#include "conf/conf.h"

#include <limits.h>
#include "conf/conf_private.h"

static bool fill_number(
    const struct param *p, struct str value, int64_t *r, struct buf *error)
{
	int64_t number = 0;
	bool is_long = p->type == PARAM_LONG;
	if (!str_to_range(value, is_long ? INT64_MIN : INT_MIN,
		is_long ? INT64_MAX : INT_MAX, &number)) {
		buf_printf(error, "bad numerical configuration: %s = %.*s", p->name,
		    STR_ARG(value));
		return false;
	}
	if (number < p->min) {
		buf_printf(error, "invalid %s parameter value %lld < %lld", p->name,
		    (long long)number, (long long)p->min);
		return false;
	}
	if (p->max != 0 && number > p->max) {
		buf_printf(error, "invalid %s parameter value %lld > %lld", p->name,
		    (long long)number, (long long)p->max);
		return false;
	}
	*r = number;
	return true;
}

static bool fill_time(
    const struct param *p, struct str value, int64_t *r, struct buf *error)
{
	int64_t seconds = 0;
	if (!conf_parse_time(value, p->unit, &seconds)) {
		buf_printf(error, "parameter %s: bad time value or unit: %.*s", p->name,
		    STR_ARG(value));
		return false;
	}
	if (seconds < p->min) {
		buf_printf(error, "invalid %s: %lld (min %lld)", p->name,
		    (long long)seconds, (long long)p->min);
		return false;
	}
	if (p->max != 0 && seconds > p->max) {
		buf_printf(error, "invalid %s: %lld (max %lld)", p->name,
		    (long long)seconds, (long long)p->max);
		return false;
	}
	*r = seconds;
	return true;
}

static bool fill_bool(const struct param *p, struct str value, bool *r, struct buf *error)
{
	if (!str_is_nocase(value, "yes") && !str_is_nocase(value, "no")) {
		buf_printf(error, "bad boolean configuration: %s = %.*s", p->name,
		    STR_ARG(value));
		return false;
	}
	*r = str_is_nocase(value, "yes");
	return true;
}

static bool fill_string(struct conf *c, const struct param *p, struct str value,
    const char **r, struct buf *error)
{
	if (value.len < (size_t)p->min) {
		buf_printf(error, "bad string length %zu < %lld: %s = %.*s", value.len,
		    (long long)p->min, p->name, STR_ARG(value));
		return false;
	}
	if (p->max != 0 && value.len > (size_t)p->max) {
		buf_printf(error, "bad string length %zu > %lld: %s = %.*s", value.len,
		    (long long)p->max, p->name, STR_ARG(value));
		return false;
	}
	const char *copy = conf_keep(c, value);
	if (copy == NULL) {
		buf_printf(error, "parameter %s: too much text in all values", p->name);
		return false;
	}
	*r = copy;
	return true;
}

static bool fill_one(
    struct conf *c, const struct param *p, char *values, struct buf *error)
{
	CLEANUP(buf_free) struct buf value = BUF_INIT(CONF_VALUE_MAX);
	void *field = values + p->offset;
	const char *raw = conf_raw(c, str_of(p->name), true);
	if (raw == NULL)
		raw = p->initial;
	if (raw == NULL) {
		buf_printf(error, "parameter %s has no value", p->name);
		return false;
	}
	if (p->type == PARAM_RAW)
		return fill_string(c, p, str_of(raw), field, error);
	if (!conf_expand(c, str_of(raw), &value, error))
		return false;
	switch (p->type) {
	case PARAM_STRING:
		return fill_string(c, p, buf_str(&value), field, error);
	case PARAM_INT:
	case PARAM_LONG:
		return fill_number(p, buf_str(&value), field, error);
	case PARAM_TIME:
		return fill_time(p, buf_str(&value), field, error);
	case PARAM_BOOL:
		return fill_bool(p, buf_str(&value), field, error);
	case PARAM_RAW:
		break;
	}
	return false;
}

bool conf_fill(struct conf *c, const struct param *table, void *values, struct buf *error)
{
	for (const struct param *p = table; p->name != NULL; p++)
		if (!fill_one(c, p, values, error))
			return false;
	return true;
}
