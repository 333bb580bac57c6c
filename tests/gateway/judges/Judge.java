// Runs the named tests of a class of the vendor's, and writes down how each went: Judge CLASS NAME...
import java.io.FileWriter;
import java.util.Arrays;
import java.util.HashSet;
import java.util.Set;
import org.cloudinary.json.JSONObject;
import org.junit.runner.Description;
import org.junit.runner.JUnitCore;
import org.junit.runner.Request;
import org.junit.runner.manipulation.Filter;
import org.junit.runner.notification.Failure;
import org.junit.runner.notification.RunListener;

public class Judge {
    public static void main(String[] arguments) throws Exception {
        Set<String> names = new HashSet<>(Arrays.asList(arguments).subList(1, arguments.length));
        JUnitCore core = new JUnitCore();
        core.addListener(new Written());
        core.run(Request.aClass(Class.forName(arguments[0])).filterWith(new Filter() {
            @Override
            public boolean shouldRun(Description test) {
                return test.isSuite() || names.isEmpty() || names.contains(test.getMethodName());
            }

            @Override
            public String describe() {
                return "named tests";
            }
        }));
        System.exit(0);
    }

    static class Written extends RunListener {
        private String outcome = "passed";
        private String said = "";

        @Override
        public void testStarted(Description test) {
            outcome = "passed";
            said = "";
        }

        @Override
        public void testFailure(Failure failure) throws Exception {
            outcome = "failed";
            said = String.valueOf(failure.getException());
            if (failure.getDescription().getMethodName() == null) {
                testFinished(failure.getDescription());
            }
        }

        @Override
        public void testAssumptionFailure(Failure failure) {
            outcome = "skipped";
            said = failure.getMessage();
        }

        @Override
        public void testFinished(Description test) throws Exception {
            JSONObject row = new JSONObject();
            row.put("name", String.valueOf(test.getMethodName()));
            row.put("sent", 1);
            row.put("outcome", outcome);
            row.put("said", said);
            try (FileWriter out = new FileWriter(System.getenv("JUDGE_OUT"), true)) {
                out.write(row + "\n");
            }
        }
    }
}
