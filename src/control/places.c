#include "control/places.h"

#include <dirent.h>
#include <limits.h>
#include <string.h>
#include "base/buf.h"
#include "service/command.h"

#define ANY_GROUP ((gid_t)-1)

enum part { CONFIGURATION, DAEMONS, COMMANDS, QUEUE, DATA };
enum owner_kind { OF_ROOT, OF_MAIL, OF_MAIL_FOR_GROUP, OF_ROOT_FOR_GROUP };

static const struct row {
	enum part part;
	const char *name; /* "": the directory itself */
	enum place_kind kind;
	enum owner_kind owner;
	mode_t mode;
	bool queue_files;
} rows[] = {
    {CONFIGURATION, "", PLACE_DIRECTORY, OF_ROOT, 0755, false},
    {CONFIGURATION, "main.cf", PLACE_FILE, OF_ROOT, 0644, false},
    {CONFIGURATION, "master.cf", PLACE_FILE, OF_ROOT, 0644, false},
    {DAEMONS, "", PLACE_DIRECTORY, OF_ROOT, 0755, false},
    {COMMANDS, "mailq", PLACE_COMMAND, OF_ROOT, 0755, false},
    {COMMANDS, "newaliases", PLACE_COMMAND, OF_ROOT, 0755, false},
    {COMMANDS, "postalias", PLACE_COMMAND, OF_ROOT, 0755, false},
    {COMMANDS, "postcat", PLACE_COMMAND, OF_ROOT, 0755, false},
    {COMMANDS, "postconf", PLACE_COMMAND, OF_ROOT, 0755, false},
    {COMMANDS, "postfix", PLACE_COMMAND, OF_ROOT, 0755, false},
    {COMMANDS, "posthouse", PLACE_COMMAND, OF_ROOT, 0755, false},
    {COMMANDS, "postkick", PLACE_COMMAND, OF_ROOT, 0755, false},
    {COMMANDS, "postlock", PLACE_COMMAND, OF_ROOT, 0755, false},
    {COMMANDS, "postmap", PLACE_COMMAND, OF_ROOT, 0755, false},
    {COMMANDS, "postsuper", PLACE_COMMAND, OF_ROOT, 0755, false},
    {COMMANDS, "sendmail", PLACE_COMMAND, OF_ROOT, 0755, false},
    {COMMANDS, "postdrop", PLACE_COMMAND, OF_ROOT_FOR_GROUP, 02555, false},
    {COMMANDS, "postlog", PLACE_COMMAND, OF_ROOT_FOR_GROUP, 02555, false},
    {COMMANDS, "postqueue", PLACE_COMMAND, OF_ROOT_FOR_GROUP, 02555, false},
    {DATA, "", PLACE_MADE, OF_MAIL, 0700, false},
    {QUEUE, "", PLACE_DIRECTORY, OF_ROOT, 0755, false},
    {QUEUE, "active", PLACE_MADE, OF_MAIL, 0700, true},
    {QUEUE, "bounce", PLACE_MADE, OF_MAIL, 0700, true},
    {QUEUE, "commit", PLACE_MADE, OF_MAIL, 0700, false},
    {QUEUE, "corrupt", PLACE_MADE, OF_MAIL, 0700, true},
    {QUEUE, "defer", PLACE_MADE, OF_MAIL, 0700, true},
    {QUEUE, "deferred", PLACE_MADE, OF_MAIL, 0700, true},
    {QUEUE, "flush", PLACE_MADE, OF_MAIL, 0700, true},
    {QUEUE, "hold", PLACE_MADE, OF_MAIL, 0700, true},
    {QUEUE, "incoming", PLACE_MADE, OF_MAIL, 0700, true},
    {QUEUE, "private", PLACE_MADE, OF_MAIL, 0700, false},
    {QUEUE, "saved", PLACE_MADE, OF_MAIL, 0700, true},
    {QUEUE, "trace", PLACE_MADE, OF_MAIL, 0700, true},
    /* Its files are their senders' until pickup has read them. */
    {QUEUE, "maildrop", PLACE_MADE, OF_MAIL_FOR_GROUP, 0730, false},
    {QUEUE, "public", PLACE_MADE, OF_MAIL_FOR_GROUP, 0710, false},
    {QUEUE, "pid", PLACE_MADE, OF_ROOT, 0755, false},
};

struct walk {
	const struct owner *owner;
	void (*call)(void *argument, const struct place *);
	void *argument;
	const char *directories[DATA + 1];
};

static void visit(const struct walk *w, const struct row *row, const char *name)
{
	CLEANUP(buf_free) struct buf path = BUF_INIT(PATH_MAX);
	const struct owner *o = w->owner;
	bool of_root = row->owner == OF_ROOT || row->owner == OF_ROOT_FOR_GROUP;
	bool for_group =
	    row->owner == OF_MAIL_FOR_GROUP || row->owner == OF_ROOT_FOR_GROUP;
	const struct place place = {
	    .kind = row->kind,
	    .user = of_root && !o->single_user ? "root" : o->user,
	    .uid = of_root && !o->single_user ? 0 : o->uid,
	    .group = for_group && !o->single_user ? command_common()->setgid_group : NULL,
	    .gid = for_group && !o->single_user ? o->setgid_group : ANY_GROUP,
	    .mode = row->mode,
	    .queue_files = row->queue_files,
	};
	buf_printf(
	    &path, "%s%s%s", w->directories[row->part], name[0] != '\0' ? "/" : "", name);
	struct place full = place;
	full.path = buf_cstr(&path);
	if (buf_ok(&path))
		w->call(w->argument, &full);
}

/* Whatever lies there is ours: the directory has our stamp, or is part of our build. */
static void visit_daemons(const struct walk *w)
{
	static const struct row row = {DAEMONS, NULL, PLACE_FILE, OF_ROOT, 0755, false};
	static const struct row stamp = {DAEMONS, NULL, PLACE_FILE, OF_ROOT, 0644, false};
	DIR *directory = opendir(w->directories[DAEMONS]);
	const struct dirent *entry;
	while (directory != NULL && (entry = readdir(directory)) != NULL)
		if (entry->d_name[0] != '.')
			visit(w, strchr(entry->d_name, '.') != NULL ? &stamp : &row,
			    entry->d_name);
	if (directory != NULL)
		(void)closedir(directory);
}

void places_each(const struct owner *o,
    void (*call)(void *argument, const struct place *), void *argument)
{
	const struct common_params *common = command_common();
	const struct walk w = {
	    .owner = o,
	    .call = call,
	    .argument = argument,
	    .directories =
		{
		    [CONFIGURATION] = command_directory(),
		    [DAEMONS] = program_daemon_directory(common),
		    [COMMANDS] = program_command_directory(common),
		    [QUEUE] = common->queue_directory,
		    [DATA] = common->data_directory,
		},
	};
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		bool is_own = rows[i].part == QUEUE || rows[i].part == DATA;
		if (o->single_user && !is_own)
			continue;
		visit(&w, &rows[i], rows[i].name);
		if (rows[i].part == DAEMONS)
			visit_daemons(&w);
	}
}
