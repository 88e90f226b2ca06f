#include "service/command_row.h"

#include <grp.h>
#include <pwd.h>
#include <string.h>

#include "base/memory.h"
#include "base/panic.h"
#include "service/owner.h"
#include "service/service.h"

#define NAME_ROOM 256
#define USER      "user="
#define ARGV      "argv="

static void find_account(struct str name, struct command_row *r)
{
	char cstring[NAME_ROOM];
	const struct passwd *entry = NULL;
	if (str_to_cstr(name, cstring, sizeof(cstring)))
		entry = getpwnam(cstring);
	if (entry == NULL)
		fatal("get_service_attr: unknown username: %.*s", STR_ARG(name));
	r->uid = entry->pw_uid;
	r->gid = entry->pw_gid;
}

static void find_group(const char *name, struct command_row *r)
{
	const struct group *entry = getgrnam(name);
	if (entry == NULL)
		fatal("get_service_attr: unknown group: %s", name);
	r->gid = entry->gr_gid;
}

static void find_user(const char *user, struct command_row *r)
{
	static const char says[] = "user= command-line attribute specifies ";
	const struct owner owner = owner_of(service_common());
	const char *colon = strchr(user, ':');
	if (user[0] == '\0')
		fatal("empty user= command-line attribute");
	r->switch_ids = !owner.single_user;
	if (owner.single_user) {
		r->uid = owner.uid;
		r->gid = owner.gid;
		return;
	}
	find_account(
	    colon != NULL ? (struct str){user, (size_t)(colon - user)} : str_of(user), r);
	if (colon != NULL)
		find_group(colon + 1, r);
	if (r->uid == 0 || r->gid == 0)
		fatal("%sroot privileges", says);
	if (r->uid == owner.uid || r->gid == owner.gid)
		fatal("%smail system owner %s", says, owner.user);
}

static int64_t time_limit(int64_t seconds)
{
	CLEANUP(buf_free) struct buf name = BUF_INIT(256);
	buf_printf(&name, "%s_time_limit", service_name());
	if (!conf_get_time(service_conf(), buf_str(&name), 's', seconds, &seconds) ||
	    seconds < 1)
		fatal("bad value of parameter %s", buf_cstr(&name));
	return seconds;
}

static char *const *words_of_command(char *const *words)
{
	size_t count = 0;
	while (words[count] != NULL)
		count++;
	char **argv = memory_alloc_array(count + 1, sizeof(*argv));
	memcpy(argv, words, count * sizeof(*argv));
	argv[0] += strlen(ARGV);
	if (argv[0][0] == '\0')
		fatal("missing argv= command-line attribute");
	return argv;
}

/* What stands before argv=; gives `words` from there on. */
static char *const *take_attributes(char *const *words, const char **user_r,
    bool (*take)(const char *word, struct buf *error))
{
	CLEANUP(buf_free) struct buf error = BUF_INIT(1024);
	for (; *words != NULL && !str_starts(str_of(*words), STR(ARGV)); words++) {
		if (str_starts(str_of(*words), STR(USER)))
			*user_r = *words + strlen(USER);
		else if (take == NULL || !take(*words, &error))
			fatal("%s%s", error.len > 0 ? "" : "unknown attribute name: ",
			    error.len > 0 ? buf_cstr(&error) : *words);
	}
	return words;
}

struct command_row command_row_read(
    int64_t seconds, bool (*take)(const char *word, struct buf *error))
{
	struct command_row r;
	const char *user = NULL;
	char *const *words = take_attributes(service_attributes(), &user, take);
	if (user == NULL)
		fatal("missing user= command-line attribute");
	if (*words == NULL)
		fatal("missing argv= command-line attribute");
	r.argv = words_of_command(words);
	find_user(user, &r);
	r.seconds = time_limit(seconds);
	return r;
}
