/* SPDX-License-Identifier: MPL-2.0 */
/* Every file of tests/scenarios is a case of its own. */
#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <glob.h>
#include <stdio.h>

#include "scenario.h"

enum { PATH_BYTES = 512 };

typedef struct {
    char path[PATH_BYTES];
} param_t;

ParameterizedTestParameters(scenarios, file)
{
    glob_t found;
    param_t *params = NULL;
    size_t count = 0;
    if (glob(KAP_TEST_SOURCE_DIR "/tests/scenarios/*.scn", 0, NULL, &found) == 0) {
        params = cr_malloc(found.gl_pathc * sizeof(*params));
        for (; count < found.gl_pathc; count++) {
            snprintf(params[count].path, PATH_BYTES, "%s", found.gl_pathv[count]);
        }
        globfree(&found);
    }
    return cr_make_param_array(param_t, params, count, NULL);
}

ParameterizedTest(param_t *param, scenarios, file)
{
    kap_buf_t failure = {0};
    bool ok = kap_scenario_run(param->path, &failure);
    cr_expect(ok, "%s", kap_buf_cstr(&failure));
    kap_buf_fini(&failure);
}

Test(scenarios, are_many)
{
    glob_t found;
    cr_assert_eq(glob(KAP_TEST_SOURCE_DIR "/tests/scenarios/*.scn", 0, NULL, &found), 0);
    cr_expect_geq(found.gl_pathc, 30);
    globfree(&found);
}
