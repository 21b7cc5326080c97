/* A program that calls PAM, as sshd and login do: all hooks, as often as it is told, in one process.
 * It says what came of each, and at the end whether the process is what it was before.
 *
 * driver CONFDIR SERVICE USER TIMES MANNER ANSWER HOOK...
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <locale.h>
#include <security/pam_appl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

extern char **environ;

static const char *manner;
static int loud = 1;

/* What is answered, in a form in which nobody finds it. */
static unsigned char *hidden;
static size_t length;
enum { MASK = 0xa5 };

static void hide(char *text)
{
    length = strlen(text);
    hidden = malloc(length + 1);
    for (size_t i = 0; i < length; i++) {
        hidden[i] = text[i] ^ MASK;
        text[i] = 'x';
    }
}

static char *answer(void)
{
    /* More room than anything else asks for: what is freed is then not soon taken again. */
    char *text = malloc(length + 5000);
    for (size_t i = 0; i < length; i++)
        text[i] = hidden[i] ^ MASK;
    text[length] = 0;
    return text;
}

/* How often the end of what was answered stands somewhere in the memory of this process. The beginning
 * of a freed piece is the allocator's, who writes into it. */
static int copies(void)
{
    int count = 0;
    char line[512];
    size_t skipped = length / 2;
    FILE *maps = fopen("/proc/self/maps", "r");
    while (fgets(line, sizeof line, maps)) {
        unsigned long begin, end;
        char rights[8];
        if (sscanf(line, "%lx-%lx %7s", &begin, &end, rights) != 3 || strncmp(rights, "rw", 2) != 0)
            continue;
        const unsigned char *at = (void *)begin, *last = (void *)end;
        for (; at + length - skipped <= last; at++) {
            size_t i = skipped;
            while (i < length && at[i - skipped] == (hidden[i] ^ MASK))
                i++;
            count += i == length;
        }
    }
    fclose(maps);
    return count;
}

/* How the conversation goes: `plain`; `hidden` takes no answers in sight, as sshd's `password` does;
 * `silent` answers nothing; `forgetful` keeps a copy of its own. */
static int converse(int count, const struct pam_message **messages,
                    struct pam_response **responses, void *data)
{
    (void)data;
    struct pam_response *all = calloc(count, sizeof *all);
    for (int i = 0; i < count; i++) {
        const struct pam_message *message = messages[i];
        if (loud)
            printf("shown %d %s\n", message->msg_style, message->msg);
        if (message->msg_style == PAM_PROMPT_ECHO_ON && strcmp(manner, "hidden") == 0) {
            free(all);
            return PAM_CONV_ERR;
        }
        int asks = message->msg_style == PAM_PROMPT_ECHO_ON
                || message->msg_style == PAM_PROMPT_ECHO_OFF;
        static char *kept;
        if (asks && strcmp(manner, "forgetful") == 0 && !kept)
            kept = answer();
        if (asks && strcmp(manner, "silent") != 0)
            all[i].resp = answer();
    }
    *responses = all;
    return PAM_SUCCESS;
}

static int call(const char *hook, pam_handle_t *pamh)
{
    if (strcmp(hook, "authenticate") == 0) return pam_authenticate(pamh, 0);
    if (strcmp(hook, "quietly") == 0) return pam_authenticate(pamh, PAM_SILENT);
    if (strcmp(hook, "setcred") == 0) return pam_setcred(pamh, PAM_ESTABLISH_CRED);
    if (strcmp(hook, "acct_mgmt") == 0) return pam_acct_mgmt(pamh, 0);
    if (strcmp(hook, "open_session") == 0) return pam_open_session(pamh, 0);
    if (strcmp(hook, "close_session") == 0) return pam_close_session(pamh, 0);
    if (strcmp(hook, "chauthtok") == 0) return pam_chauthtok(pamh, 0);
    fprintf(stderr, "no such hook: %s\n", hook);
    exit(2);
}

/* What a module must not touch: dispositions of signals, environment, directory, mask, locale. */
static unsigned long surroundings(void)
{
    unsigned long sum = 5381;
    for (int i = 1; i < 65; i++) {
        struct sigaction action;
        memset(&action, 0, sizeof action);
        if (sigaction(i, NULL, &action) == 0)
            sum = sum * 33 + (unsigned long)action.sa_handler;
    }
    for (char **it = environ; *it; it++)
        for (char *c = *it; *c; c++)
            sum = sum * 33 + (unsigned char)*c;
    char directory[4096];
    const char *texts[] = {getcwd(directory, sizeof directory), setlocale(LC_ALL, NULL)};
    for (int i = 0; i < 2; i++)
        for (const char *c = texts[i]; *c; c++)
            sum = sum * 33 + (unsigned char)*c;
    mode_t mask = umask(0);
    umask(mask);
    return sum * 33 + mask;
}

static int descriptors(void)
{
    int count = 0;
    DIR *directory = opendir("/proc/self/fd");
    while (readdir(directory))
        count++;
    closedir(directory);
    return count;
}

// What is this process's alone, in KiB. It is counted page by page: the sums in statm and status lag behind,
// and those of files change as the system needs memory.
static long own(void)
{
    char line[256];
    long kib = -1;
    FILE *file = fopen("/proc/self/smaps_rollup", "r");
    while (file && kib < 0 && fgets(line, sizeof line, file))
        sscanf(line, "Anonymous: %ld", &kib);
    if (kib < 0)
        exit(2);
    fclose(file);
    return kib;
}

int main(int argc, char **argv)
{
    if (argc < 8)
        return 2;
    int times = atoi(argv[4]);
    manner = argv[5];
    hide(argv[6]);
    struct pam_conv conversation = {converse, NULL};
    if (strcmp(manner, "mute") == 0)
        conversation.conv = NULL;
    unsigned long before = surroundings();
    int changed = 0;
    for (int i = 0; i < times; i++) {
        pam_handle_t *pamh = NULL;
        if (pam_start_confdir(argv[2], argv[3], &conversation, argv[1], &pamh) != PAM_SUCCESS)
            return 2;
        pam_set_item(pamh, PAM_RHOST, "192.0.2.7");
        pam_set_item(pamh, PAM_TTY, "ssh");
        int last = PAM_SUCCESS;
        for (int j = 7; j < argc; j++) {
            last = call(argv[j], pamh);
            if (loud)
                printf("%s %d\n", argv[j], last);
        }
        const void *user = NULL;
        pam_get_item(pamh, PAM_USER, &user);
        char **variables = pam_getenvlist(pamh);
        changed |= user == NULL || strcmp(user, argv[3]) != 0 || variables[0] != NULL;
        for (char **it = variables; *it; it++)
            free(*it);
        free(variables);
        pam_end(pamh, last);
        if (loud && length > 40)
            printf("copies %d\n", copies());
        if (i == times / 4)
            printf("early %ld %d\n", own(), descriptors());
        loud = 0;
    }
    printf("late %ld %d\n", own(), descriptors());
    printf("alive %s\n", changed || before != surroundings() ? "and changed" : "and unchanged");
    return 0;
}
