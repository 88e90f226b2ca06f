#include "postconf/templates.h"

#include <limits.h>
#include <stdio.h>

#include "base/log.h"
#include "base/panic.h"
#include "mail/notice_template.h"

#define OUTPUT_MAX (NOTICE_TEMPLATE_FILE_MAX * 4)

static void tell(const char *text)
{
	log_warning("%s", text);
}

static void expand(const struct notice_template *t, struct conf *conf, struct buf *out)
{
	CLEANUP(buf_free) struct buf error = BUF_INIT(4096);
	buf_printf(
	    out, "%sexpanded_%s_text = <<EOF\n", out->len > 0 ? "\n" : "", t->kind);
	if (!notice_template_expand(t, conf, tell, out, &error))
		fatal("%s", buf_cstr(&error));
	buf_add_cstr(out, "EOF\n");
}

void templates_show(struct conf *conf, const char *path, bool expanded)
{
	CLEANUP(buf_free) struct buf file = BUF_INIT(PATH_MAX);
	CLEANUP(buf_free) struct buf error = BUF_INIT(PATH_MAX + 1000);
	CLEANUP(buf_free) struct buf out = BUF_INIT(OUTPUT_MAX);
	struct notice_templates t;
	if (path != NULL)
		buf_add_cstr(&file, path);
	else if (!conf_get(conf, STR("bounce_template_file"), &file))
		fatal("bounce_template_file cannot be expanded");
	if (!notice_templates_load(&t, buf_cstr(&file), tell, &error))
		fatal("%s", buf_cstr(&error));
	for (size_t i = 0; expanded && i < NOTICE_TEMPLATE_COUNT; i++)
		expand(&t.of[i], conf, &out);
	if (!expanded)
		notice_templates_print(&t, &out);
	log_flush();
	(void)fwrite(out.p, 1, out.len, stdout);
	notice_templates_free(&t);
}
