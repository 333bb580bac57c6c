// Whether the SDK takes notifications for genuine: Verify ALGORITHM SECRET FILE, a JSON list of [body, timestamp, signature].
import com.cloudinary.SignatureAlgorithm;
import com.cloudinary.api.signing.NotificationRequestSignatureVerifier;
import java.nio.file.Files;
import java.nio.file.Path;
import org.cloudinary.json.JSONArray;

public class Verify {
    public static void main(String[] arguments) throws Exception {
        NotificationRequestSignatureVerifier verifier = new NotificationRequestSignatureVerifier(
            arguments[1], SignatureAlgorithm.valueOf(arguments[0].toUpperCase()));
        JSONArray all = new JSONArray(Files.readString(Path.of(arguments[2])));
        JSONArray told = new JSONArray();
        for (int i = 0; i < all.length(); i++) {
            JSONArray each = all.getJSONArray(i);
            told.put(verifier.verifySignature(each.getString(0), each.getString(1), each.getString(2), 7200));
        }
        System.out.println(told);
    }
}
