#include "deliver/errand_report.h"

void errand_report_write(struct buf *out, const struct why *whys, size_t count)
{
	size_t room = ERRAND_REPORT_MAX / count;
	for (size_t i = 0; i < count; i++) {
		CLEANUP(buf_free) struct buf line = BUF_INIT(WHY_TEXT_MAX + 64);
		if (why_is_set(&whys[i]))
			buf_printf(
			    &line, "%s %s", whys[i].status, buf_cstr(&whys[i].text));
		buf_add_str(out, str_slice(buf_str(&line), 0, room - 1));
		buf_add_char(out, '\0');
	}
}

static bool take_outcome(struct str line, struct why *why)
{
	struct str status;
	char text[10];
	if (line.len == 0)
		return true;
	if (!str_next(&line, " ", &status) || !str_to_cstr(status, text, sizeof(text)))
		return why_later(why, "4.3.0", "delivery process gave no result");
	struct str reason = str_skip(line, 1);
	if (text[0] == '5')
		return why_never(why, text, "%.*s", STR_ARG(reason));
	return why_later(why, text, "%.*s", STR_ARG(reason));
}

struct str errand_report_read(struct str report, struct why *whys, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		ptrdiff_t end = str_find(report, '\0');
		struct str line = end < 0 ? STR(" ") : str_slice(report, 0, (size_t)end);
		(void)take_outcome(line, &whys[i]);
		report = end < 0 ? STR_EMPTY : str_skip(report, (size_t)end + 1);
	}
	return report;
}
