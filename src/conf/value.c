/* Texts of values: times and compatibility levels. */
#include "conf/conf.h"

#include <limits.h>

static int64_t seconds_of(char unit)
{
	switch (unit) {
	case 's':
		return 1;
	case 'm':
		return 60;
	case 'h':
		return 3600;
	case 'd':
		return 24 * 3600;
	case 'w':
		return 7 * 24 * 3600;
	default:
		return 0;
	}
}

/* Times fit into 31 bits, as Postfix has it: no sum of two of them overflows. */
bool conf_parse_time(struct str text, char unit, int64_t *seconds_r)
{
	if (text.len > 0 && ascii_is_alpha(text.p[text.len - 1])) {
		unit = text.p[text.len - 1];
		text = str_slice(text, 0, text.len - 1);
	}
	int64_t factor = seconds_of(unit);
	int64_t number = 0;
	if (factor == 0 || !str_to_range(text, 0, INT_MAX / factor, &number))
		return false;
	*seconds_r = number * factor;
	return true;
}

/* major[.minor[.patch]], 20 bits each. */
bool conf_parse_level(struct str text, int64_t *level_r)
{
	int64_t level = 0;
	struct str rest = text;
	for (unsigned i = 0; i < 3; i++) {
		int64_t number = 0;
		if (i == 0 || rest.len > 0) {
			ptrdiff_t dot = str_find(rest, '.');
			size_t len = dot < 0 ? rest.len : (size_t)dot;
			if (!str_to_range(
				str_slice(rest, 0, len), 0, (1 << 20) - 1, &number))
				return false;
			if (dot >= 0 && len + 1 == rest.len)
				return false; /* "3." */
			rest = str_skip(rest, dot < 0 ? len : len + 1);
		}
		level = level << 20 | number;
	}
	if (rest.len > 0)
		return false;
	*level_r = level;
	return true;
}
